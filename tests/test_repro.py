"""How work is found and dealt out; `tests/pipeline` runs it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmark import repro
from benchmark.config import Params, load_params
from benchmark.errors import StageError
from benchmark.repro import _Dvc, _look, _parts, _reproduce
from benchmark.workspace import Workspace

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("count", "jobs", "sizes"),
    [(19, 2, [5, 4, 3, 2, 2, 1, 1, 1]), (3, 2, [1, 1, 1]), (33, 8, [3] + [2] * 7 + [1] * 16)],
)
def test_work_is_dealt_out_in_order_in_parts_that_shrink(count: int, jobs: int, sizes: list[int]):
    names = [str(number) for number in range(count)]
    parts = _parts(names, jobs)
    assert [len(part) for part in parts] == sizes
    assert [name for part in parts for name in part] == names


@dataclass
class Recorded:
    """Stands for DVC, of which it keeps what it is asked."""

    workspace: Workspace
    then: set[str] = field(default_factory=set)
    """What is changed once all is prepared and planned."""
    asked: list[str] = field(default_factory=list)

    def run(self, *words: str) -> None:
        self.asked.append(" ".join(words))

    def changed(self) -> set[str]:
        self.asked.append("status")
        return self.then


@pytest.fixture
def dvc(checkout: Path) -> Recorded:
    """DVC in a project whose corpora are all prepared."""
    workspace = Workspace(checkout, load_params(checkout).profile[0])
    for corpus in load_params(checkout).active.corpora:
        dataset, rate = corpus.rsplit("-", 1)
        file = workspace.manifest(dataset, int(rate))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return Recorded(workspace)


@pytest.fixture
def params(checkout: Path) -> Params:
    return load_params(checkout)


def test_what_is_known_to_have_changed_is_not_asked_again(dvc: Recorded, params: Params):
    _reproduce(dvc, params, 2, {"report@sandbox"})
    [last] = dvc.asked
    assert last.startswith("repro --single-item --keep-going aggregate@sandbox")


def test_a_single_run_is_followed_by_what_waits_for_it(dvc: Recorded, params: Params, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        repro, "_side_by_side", lambda dvc, work, jobs, unit: dvc.asked.append(f"{jobs} at a time: {work}")
    )
    run = params.active.runs[0]
    _reproduce(dvc, params, 2, {f"evaluate@sandbox-{run}"})
    tables = {study: [f"tables@sandbox-{study}"] for study in params.active.studies}
    stages = " ".join(stage for [stage] in tables.values())
    assert dvc.asked == [
        f"repro --single-item pretrain@sandbox-{run} evaluate@sandbox-{run}",
        "repro --single-item aggregate@sandbox",
        f"2 at a time: {tables}",
        f"repro --single-item --keep-going aggregate@sandbox {stages} report@sandbox",
    ]


def test_where_corpora_change_they_come_before_the_plan_and_the_question(dvc: Recorded, params: Params):
    dvc.then = {"report@sandbox"}
    _reproduce(dvc, params, 2, None)
    assert dvc.asked[:2] == ["repro plan@sandbox", "status"]
    assert len(dvc.asked) == 3


def test_one_stage_at_a_time_is_left_to_dvc(dvc: Recorded, params: Params):
    _reproduce(dvc, params, 1, {"report@sandbox"})
    assert dvc.asked == ["repro --keep-going"]


@pytest.mark.parametrize(
    ("stages", "found"),
    [
        ({"scan@sandbox", "plan@sandbox"}, set()),
        ({"scan@sandbox", "plan@sandbox", "report@sandbox"}, {"report@sandbox"}),
        ({"prepare@sandbox-esc50-16000", "report@sandbox"}, None),
    ],
)
def test_what_runs_is_known_unless_a_corpus_must_be_prepared(
    dvc: Recorded, params: Params, monkeypatch: pytest.MonkeyPatch, stages: set[str], found: set[str] | None
):
    monkeypatch.setattr(_Dvc, "changed", lambda self, first: set(stages))
    assert _look(dvc.workspace, params) is None, "nothing has ever run"
    (dvc.workspace.root / "dvc.lock").touch()
    assert _look(dvc.workspace, params) == found
    next(dvc.workspace.manifest("esc50", 16000).parent.iterdir()).unlink()
    assert _look(dvc.workspace, params) is None, "a corpus has never been prepared"


def test_where_nothing_would_run_it_says_so(
    dvc: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(repro, "_look", lambda workspace, params: set())
    monkeypatch.delattr(repro, "_reproduce")
    repro.repro(dvc.workspace)
    assert capsys.readouterr().out == "Profile sandbox is up to date.\n"


def waiting(then: str) -> tuple[str, ...]:
    """A command that waits for a word, as that for DVC's status does."""
    return sys.executable, "-c", f"import sys\nif sys.stdin.read(): {then}"


def test_dvc_looks_after_what_is_to_be_done_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(repro, "_STATUS", waiting("print(open('stages.json').read())"))
    changed = _Dvc(Workspace(tmp_path, "sandbox"), {}).changed(
        lambda: (tmp_path / "stages.json").write_text('{"scan@sandbox": []}')
    )
    assert changed == {"scan@sandbox"}


def test_dvc_does_not_look_where_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(repro, "_STATUS", waiting("open('looked', 'w')"))
    with pytest.raises(ZeroDivisionError):
        _Dvc(Workspace(tmp_path, "sandbox"), {}).changed(lambda: 1 / 0)
    assert not (tmp_path / "looked").exists()


def test_a_failing_status_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(repro, "_STATUS", waiting("sys.exit(1)"))
    with pytest.raises(StageError, match="`dvc status` failed"):
        _Dvc(Workspace(tmp_path, "sandbox"), {}).changed()


def test_dvc_does_not_look_where_its_starter_was_killed(tmp_path: Path):
    done = subprocess.run(repro._STATUS, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
