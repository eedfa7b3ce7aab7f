"""The command line: lists, hints, exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmark.cli import main

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.usefixtures("shared_cache")


@dataclass(frozen=True)
class Done:
    """What a command said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command as its own process would; few of these tests are about the process itself."""

    def run(*words: str, cwd: Path = ROOT) -> Done:
        handler = signal.getsignal(signal.SIGTERM)
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.chdir(cwd)
            patch.setattr(sys, "argv", ["benchmark", *words])
            with pytest.raises(SystemExit) as stopped:
                main()
        signal.signal(signal.SIGTERM, handler)
        assert isinstance(stopped.value.code, int)
        return Done(stopped.value.code, *capsys.readouterr())

    return run


def test_the_module_is_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "list", "tasks"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "fsdd_digit" in done.stdout


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("methods", "simclr"),
        ("encoders", "resnet18"),
        ("tasks", "fsdd_digit"),
        ("datasets", "urbansound8k"),
        ("runs", "simclr_us8k"),
        ("studies", "transfer"),
        ("profiles", "paper"),
    ],
)
def test_list(benchmark: Command, what: str, expected: str):
    done = benchmark("list", what, "--json")
    assert done.returncode == 0, done.stderr
    assert expected in [row["name"] for row in json.loads(done.stdout)]


def test_datasets_are_listed_with_licence_size_and_access(benchmark: Command):
    rows = {row["name"]: row for row in json.loads(benchmark("list", "datasets", "--json").stdout)}
    assert rows["urbansound8k"]["licence"].startswith("CC BY-NC 3.0")
    assert (rows["urbansound8k"]["size"], rows["urbansound8k"]["access"]) == ("6.0 GB", "open")


def test_status_of_datasets(benchmark: Command, tmp_path: Path):
    done = benchmark("datasets", "status", "--data", str(tmp_path), "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["esc50"]["raw"] == "absent"
    assert rows["esc50"]["missing_archives"] == ["ESC-50-master.zip"]
    assert rows["esc50"]["missing_bytes"] == rows["esc50"]["bytes"] > 0
    (tmp_path / "ESC-50-master" / "audio").mkdir(parents=True)
    text = benchmark("datasets", "status", "--data", str(tmp_path)).stdout
    assert next(line for line in text.splitlines() if line.startswith("esc50 ")).split()[1] == "present"


@pytest.mark.parametrize("words", ["list datasets", "datasets status", "fetch"])
def test_what_is_said_of_datasets_needs_no_torch(words: str):
    code = (
        "import sys, benchmark.cli as cli\nsys.argv = ['benchmark', *sys.argv[1:]]\n"
        "try: cli.main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules\nprint('light')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "light" in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["plan", "--profile", "sandbx"], "Unknown profile 'sandbx': did you mean 'sandbox'?"),
        (["select", "mni"], "Unknown profile 'mni': did you mean 'mini'?"),
        (["repro", "--profile", "mni"], "Unknown profile 'mni': did you mean 'mini'?"),
        (["repro", "--study", "transfr"], "unknown study 'transfr': did you mean 'transfer'?"),
        (["tables", "--study", "transfer", "--profile", "papr"], "Unknown profile 'papr'"),
        (["fetch"], "Name datasets to fetch, or give --all"),
        (["fetch", "esc5"], "Unknown dataset 'esc5': did you mean 'esc50'?"),
        (["fetch", "esc50", "fsdd", "--from", "."], "--from holds one dataset's files"),
        (["prepare", "--corpus", "esc50"], "Corpus 'esc50' is not <dataset>-<rate in Hz>"),
        (["prepare", "--corpus", "esc5-16000"], "Unknown dataset 'esc5': did you mean 'esc50'?"),
        (["evaluate", "--run", "nothing-0", "--shard", "3/2"], "Shard '3/2' is not <number>/<count>"),
        (["grid", "--run", "nothing-0"], "does not exist; run `dvc repro`"),
        (["pretrain", "--run", "nothing-0"], "does not exist; run `dvc repro`"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_exit_code_2(benchmark: Command, words: list[str], sentence: str):
    done = benchmark(*words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_an_unknown_command_or_option_is_a_usage_error(benchmark: Command):
    assert benchmark("pretrian").returncode == 2
    assert benchmark("plan", "--profil", "sandbox").returncode == 2


def test_outside_a_checkout_it_says_so(benchmark: Command, tmp_path: Path):
    (tmp_path / "params.yaml").touch()  # as in every project that uses DVC
    done = benchmark("list", "runs", cwd=tmp_path)
    assert done.returncode == 2
    assert "No checkout of the benchmark" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("threads: 2", "threads: none", "machine.threads"),
        ("batch_size: 32", "batch_siz: 32", "did you mean 'batch_size'?"),
        (
            "studies: [transfer, datasets,",
            "studies: [transfers, datasets,",
            "Unknown study 'transfers': did you mean 'transfer'?",
        ),
        (
            "simclr_resnet18: {steps",
            "simclr_resnt18: {steps",
            "unknown run 'simclr_resnt18': did you mean 'simclr_resnet18'?",
        ),
    ],
)
def test_a_fault_in_params_stops_the_plan(benchmark: Command, checkout: Path, old: str, new: str, sentence: str):
    file = checkout / "params.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    done = benchmark("plan", "--profile", "sandbox", cwd=checkout)
    assert done.returncode == 2, done.stdout
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("method: simclr\n", "method: simclear\n", "Unknown method 'simclear': did you mean 'simclr'?"),
        (
            "{temperature: 0.2,",
            "{temprature: 0.2,",
            "method_config: unknown parameter 'temprature'; did you mean 'temperature'?",
        ),
        ("{temperature: 0.2,", "{temperature: -0.2,", "temperature: Input should be greater than 0"),
    ],
)
def test_a_fault_in_a_run_stops_the_plan(benchmark: Command, checkout: Path, old: str, new: str, sentence: str):
    file = checkout / "studies" / "transfer.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    done = benchmark("plan", cwd=checkout)
    assert done.returncode == 2, done.stdout
    assert sentence in done.stderr


def test_select_keeps_comments_and_says_when_nothing_changed(benchmark: Command, checkout: Path):
    benchmark("select", "sandbox", cwd=checkout)
    before = (checkout / "params.yaml").read_text()
    assert "profile mini selected" in benchmark("select", "mini", cwd=checkout).stdout
    selected = (checkout / "params.yaml").read_text()
    assert [line for line in before.splitlines() if "#" in line] == [
        line for line in selected.splitlines() if "#" in line
    ]
    assert "profile: [mini]" in selected
    assert "was already selected" in benchmark("select", "mini", cwd=checkout).stdout
    benchmark("select", "sandbox", cwd=checkout)
    assert (checkout / "params.yaml").read_text() == before


@pytest.fixture
def reproduced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The profiles that were brought up to date, without doing so."""
    profiles: list[str] = []
    monkeypatch.setattr("benchmark.repro.repro", lambda workspace, jobs: profiles.append(workspace.profile))
    return profiles


def test_repro_selects_as_select_does(benchmark: Command, checkout: Path, reproduced: list[str]):
    for words in (["mini"], ["mini", "--study", "transfer", "--study", "fonseca2021"], ["sandbox"]):
        said = benchmark("select", *words, cwd=checkout).stdout
        selected = (checkout / "params.yaml").read_text()
        benchmark("select", "paper", cwd=checkout)
        assert benchmark("repro", "--profile", *words, cwd=checkout).stdout == said
        assert (checkout / "params.yaml").read_text() == selected
    assert reproduced == ["mini", "mini", "sandbox"]


def test_repro_keeps_the_selection_where_none_is_asked_for(benchmark: Command, checkout: Path, reproduced: list[str]):
    benchmark("select", "mini", "--study", "transfer", cwd=checkout)
    selected = (checkout / "params.yaml").read_text()
    assert benchmark("repro", "--jobs", "2", cwd=checkout).stdout == ""
    assert (checkout / "params.yaml").read_text() == selected
    assert (
        "profile mini, study fonseca2021 selected" in benchmark("repro", "--study", "fonseca2021", cwd=checkout).stdout
    )
    assert reproduced == ["mini", "mini"]


def test_the_plan_of_the_paper_profile_shows_full_size_networks(benchmark: Command):
    done = benchmark("plan", "--profile", "paper", "--study", "transfer")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    assert "11,170,240" in rows["simclr_resnet18"]
    assert "4,567,104" in rows["supervised_esc10"] or "4,501,440" in rows["supervised_esc10"]


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interrupt_is_one_sentence_and_exit_code_130(number: str):
    code = f"""
import os, signal, sys, threading, time
import benchmark.cli as cli
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
cli.app.command("wait")(lambda: time.sleep(20))
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.{number})).start()
sys.argv = ["benchmark", "wait"]
cli.main()
"""
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert "run the same command again to go on" in done.stderr
    assert time.monotonic() - start < 15
