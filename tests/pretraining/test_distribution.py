"""Two ranks against one process: the same batch, the same gradients, the same embeddings; and what a lost rank does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from benchmark import launch
from benchmark.artifacts import write_json
from benchmark.config import Machine
from benchmark.corpus.store import Corpus
from benchmark.distributed import joined
from benchmark.errors import ConfigError, DataError, RankLostError
from benchmark.pretraining import data
from benchmark.pretraining.device import deterministic_torch
from benchmark.workspace import Workspace
from tests.pretraining import test_stage
from tests.pretraining.ranks import METHODS, observe
from tests.pretraining.test_stage import make_job, outputs
from tests.pretraining.toys import RATE, build, toy_corpus, toy_data, toy_training

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 300
pytestmark = pytest.mark.timeout(900)


def project(root: Path, corpus: Corpus) -> Workspace:
    """A project with one run that is planned for two ranks."""
    workspace = Workspace(root, "sandbox")
    workspace.corpus("toy", RATE).parent.mkdir(parents=True)
    workspace.corpus("toy", RATE).symlink_to(corpus.folder)
    shutil.copy(ROOT / "params.yaml", root)
    (root / "studies").symlink_to(ROOT / "studies")
    training = {"steps": 40, "checkpoint_every": 5, "snapshots": (10,)}
    ref = test_stage.ref("toy", corpus.fingerprint)
    job = make_job(machine=Machine(threads=1, ranks=2), training=training, sources=(ref,), profile="sandbox")
    write_json(workspace.plan("pretrain", job.name), job.model_dump(mode="json"))
    return workspace


def own_cache() -> dict[str, str]:
    """The environment of processes that each use their project's cache."""
    return {name: value for name, value in os.environ.items() if name != "BENCHMARK_CACHE"}


def processes_of_rank(rank: int, root: Path) -> list[psutil.Process]:
    """Those that run in the folder ``root``: the launcher may be a fork of the loaded process, and they below any process."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # ended, or somebody else's
            if process.cwd() == str(root) and process.environ().get("RANK") == str(rank):
                found.append(process)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, loaded: Mapping[str, str]) -> Path:
    """Where two ranks under torchrun left what they observed, beside their corpus and a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("ranks")
    corpus = toy_corpus(folder / "toy", samples=12_000)
    project(folder / "undisturbed", corpus)
    forked = ["-m", "tests.forked"]
    torchrun = [sys.executable, *forked, "torch.distributed.run:main", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, *forked, "tests.pretraining.ranks:main", str(folder)],
        cwd=ROOT,
        env={**own_cache(), **loaded},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def single(folder: Path) -> dict[str, np.ndarray]:
    torch.set_num_threads(1)
    return observe(folder / "one", Corpus.open(folder / "toy"))


@pytest.fixture(scope="module", params=[0, 1])
def double(folder: Path, request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    """What each rank observed."""
    return dict(np.load(folder / f"rank{request.param}.npz"))


@pytest.mark.parametrize("method", METHODS)
def test_two_ranks_give_the_gradients_of_one_process_with_their_batch(
    single: dict[str, np.ndarray], double: dict[str, np.ndarray], method: str
):
    keys = [key for key in single if key.startswith(f"{method}/")]
    assert any("/gradient/encoder" in key for key in keys)
    largest = max(np.abs(single[key]).max() for key in keys if "/gradient/" in key)
    for key in keys:
        if "/gradient/" in key:
            np.testing.assert_allclose(double[key], single[key], rtol=0, atol=2e-5 * largest, err_msg=key)
        else:
            np.testing.assert_allclose(double[key], single[key], rtol=1e-4, atol=1e-5, err_msg=key)


def test_gradients_flow_through_gathered_rows_and_batchnorm_exactly(
    single: dict[str, np.ndarray], double: dict[str, np.ndarray]
):
    keys = [key for key in single if key.startswith("float64/")]
    assert len(keys) == 6
    for key in keys:
        np.testing.assert_allclose(double[key], single[key], rtol=1e-10, atol=1e-12, err_msg=key)
        assert np.abs(single[key]).max() > 1e-3


def test_memory_banks_hold_the_same_embeddings_in_the_same_order(
    single: dict[str, np.ndarray], double: dict[str, np.ndarray]
):
    for key in (key for key in single if key.startswith("bank/")):
        np.testing.assert_allclose(double[key], single[key], rtol=1e-4, atol=1e-5, err_msg=key)
    assert int(single["bank/bank.position"]) == 24


def test_shared_embeddings_have_the_bits_of_one_process(single: dict[str, np.ndarray], double: dict[str, np.ndarray]):
    keys = [key for key in single if key.startswith("embedding/")]
    assert len(keys) == 6
    for key in keys:
        assert double[key].tobytes() == single[key].tobytes(), key


def test_ranks_end_up_with_the_same_bits(folder: Path):
    first, second = (np.load(folder / f"rank{rank}.npz") for rank in (0, 1))
    assert set(first) == set(second)
    for key in first:
        assert first[key].tobytes() == second[key].tobytes(), key


def test_all_ranks_stop_where_one_must(folder: Path):
    for rank in (0, 1):
        said = json.loads((folder / f"rank{rank}.json").read_text())
        assert "stopped by SIGTERM after step 5 of 12; a checkpoint is saved" in said["signal"]
        assert "the loss is nan at step 2" in said["nan"]
    assert (folder / "two" / "signal" / "checkpoints" / "step-000000005.safetensors").exists()


def test_a_killed_rank_ends_the_job_and_running_again_gives_the_same_bytes(
    folder: Path, tmp_path: Path, loaded: Mapping[str, str]
):
    workspace = project(tmp_path / "killed", Corpus.open(folder / "toy"))
    environment = {**own_cache(), **loaded}
    command = [sys.executable, "-m", "benchmark", "pretrain", "--profile", "sandbox", "--run", "run-0"]

    process = subprocess.Popen(
        command, cwd=workspace.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE
    while not list(workspace.cache.glob("checkpoints/*/step-*.safetensors")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    [victim] = processes_of_rank(1, workspace.root)
    victim.kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    said = [line for line in errors.splitlines() if line.startswith("error:")]
    assert len(said) == 1, errors
    assert "rank 1 of 2 was killed (SIGKILL)" in said[0]
    assert "Traceback" not in errors
    assert not (workspace.run("run-0") / "run.json").exists()
    assert list(workspace.cache.glob("checkpoints/*/step-*.safetensors"))

    again = subprocess.run(
        command, cwd=workspace.root, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert again.returncode == 0, again.stderr
    assert outputs(workspace) == outputs(Workspace(folder / "undisturbed", "sandbox"))


@pytest.mark.parametrize(("ranks", "started"), [(1, "2"), (2, "3"), (2, None)])
def test_another_number_of_ranks_than_stated_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, ranks: int, started: str | None
):
    if started:
        monkeypatch.setenv("WORLD_SIZE", started)
    machine = Machine(ranks=ranks)
    with (
        pytest.raises(ConfigError, match=rf"machine.ranks is {ranks}, and {started or 1} ranks? w"),
        joined(machine, torch.device("cpu")),
    ):
        raise AssertionError("joined")


def test_a_batch_that_ranks_cannot_share_is_one_sentence(monkeypatch: pytest.MonkeyPatch, corpus: Corpus):
    monkeypatch.setattr(data, "world_size", lambda: 3)
    method = build().method
    with pytest.raises(ConfigError, match=r"training.batch_size 8 does not divide by machine.ranks 3"):
        toy_data(corpus, method, toy_training())
    assert toy_data(corpus, method, toy_training(batch_size=27)).batch_sizes == [24]
    monkeypatch.setattr(data, "world_size", lambda: 25)
    with pytest.raises(DataError, match="24 clips do not give each of 25 ranks one"):
        toy_data(corpus, method, toy_training(batch_size=25))


def test_a_rank_whose_device_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOCAL_RANK", "99")
    with (
        pytest.raises(ConfigError, match="'cuda:99' is not available"),
        deterministic_torch(Machine(device="cuda", ranks=2)),
    ):
        raise AssertionError("there are not so many")


class Failure:
    """As torchrun's records of ended processes."""

    def __init__(self, exitcode: int, timestamp: int, message: str = "") -> None:
        self.exitcode, self.timestamp, self.message = exitcode, timestamp, message
        self.error_file_data = {"message": message, "timestamp": timestamp} if message else {"message": "<NONE>"}


@pytest.mark.parametrize(
    ("failures", "sentence", "code"),
    [
        ({0: Failure(RankLostError.exit_code, 1, "lost"), 1: Failure(-9, 2)}, "rank 1 of 2 was killed (SIGKILL)", 2),
        ({0: Failure(2, 2, "no disk"), 1: Failure(-15, 1)}, "no disk", 2),
        ({0: Failure(130, 1, "stopped"), 1: Failure(130, 1, "stopped")}, "stopped", 130),
        ({0: Failure(RankLostError.exit_code, 1, "lost"), 1: Failure(1, 2)}, "rank 1 of 2 ended with exit code 1", 2),
    ],
)
def test_the_cause_is_told_and_not_its_consequences(failures: dict[int, Failure], sentence: str, code: int):
    error = launch._reason(failures, 2)  # type: ignore[arg-type]
    assert str(error).startswith(sentence)
    assert error.exit_code == code


def test_an_error_is_said_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert not launch.passed_on("alone")
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    monkeypatch.setenv("RANK", "0")
    assert not launch.passed_on("under a bare torchrun the first rank speaks")
    monkeypatch.setenv("RANK", "1")
    assert launch.passed_on("the others leave it")
    assert json.loads((tmp_path / "error.json").read_text())["message"] == "the others leave it"
