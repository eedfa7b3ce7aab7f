from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmark import leaks as module
from benchmark.cli import app
from benchmark.config import load_params
from benchmark.corpus.store import Corpus
from benchmark.leaks import Leak, find_leaks, text_table
from benchmark.plan import Entry, Scale
from benchmark.studies import load_study
from benchmark.workspace import Workspace
from tests.conftest import ROOT
from tests.pretraining.toys import toy_clips, write_corpus

RATE = 16_000


def corpus(workspace: Workspace, name: str, groups: list[str], levels: list[int], **columns: object) -> Corpus:
    """Clips of a constant level each."""
    clips = toy_clips(len(groups), name).assign(group=groups, **columns)
    audio = [np.full(20, level, np.int16) for level in levels]
    return write_corpus(workspace.corpus(name, RATE), name, clips, audio)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """UrbanSound8K of 40 clips; ESC-50 that shares two sources and the samples of one other clip with it."""
    workspace = Workspace(tmp_path, "mini")
    profile = load_params(ROOT).profiles["mini"]
    study = load_study(ROOT, "transfer")
    runs = {name: study.runs[name] for name in ("simclr_us8k", "simclr_esc50_fsdd")}
    found = [Entry(study, name, spec, (0,), Scale()) for name, spec in runs.items()]
    monkeypatch.setattr(module, "entries", lambda *_: found)
    monkeypatch.setattr(module, "load_params", lambda root: load_params(ROOT))
    assert RATE in profile.rates["default"]
    own = [f"freesound:{n}" for n in range(40)]
    classes = [["dog_bark", "siren"][n // 2 % 2] for n in range(40)]
    folds = [str(1 + n % 2) for n in range(40)]
    corpus(workspace, "urbansound8k", own, list(range(100, 140)), fold=folds, **{"class": classes})
    other = [f"freesound:{n + 38}" for n in range(40)]
    labels = [["dog", "rain"][n // 5 % 2] for n in range(40)]
    five = [str(1 + n % 5) for n in range(40)]
    levels = [100, *range(201, 240)]
    corpus(workspace, "esc50", other, levels, fold=five, category=labels, esc10=True)
    return workspace


def by_pair(leaks: list[Leak]) -> dict[tuple[str, str], Leak]:
    return {(leak.source, leak.task): leak for leak in leaks}


def test_sources_and_identical_clips_are_found_and_said_to_be_dropped(workspace: Workspace):
    found = by_pair(find_leaks(workspace))
    there = found["esc50", "us8k"]
    assert (there.sources, there.clips, there.of, there.identical) == (2, 3, 40, 1)
    assert there.by_part == "1:2 2:1"
    assert there.handling == "dropped from pre-training (1 runs)"
    back = found["urbansound8k", "esc10"]
    assert (back.sources, back.clips, back.identical) == (2, 2, 1)
    assert not any(leak.reaches_a_score for leak in found.values())
    assert found["fsdd", "us8k"].handling == ""  # not prepared
    assert "trained on" in text_table([there, back])


def test_a_transductive_run_lets_a_leak_reach_a_score(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    found = list(module.entries(ROOT, None, ""))  # type: ignore[arg-type]
    spec = found[0].spec.model_copy(update={"transductive": True})
    flagged = [Entry(found[0].study, "flagged", spec, (0,), Scale())]
    monkeypatch.setattr(module, "entries", lambda *_: flagged)
    leak = by_pair(find_leaks(workspace))["urbansound8k", "esc10"]
    assert leak.reaches_a_score
    assert "trained on and flagged: flagged" in leak.handling


def test_corpora_without_checksums_say_so(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    opened = module._Tables._load
    monkeypatch.setattr(
        module._Tables,
        "_load",
        lambda *asked: None if (table := opened(*asked)) is None else table.drop(columns="checksum"),
    )
    leak = by_pair(find_leaks(workspace))["esc50", "us8k"]
    assert (leak.clips, leak.identical) == (2, 0)
    assert "no checksums, prepare again" in leak.handling


@pytest.mark.parametrize(("flagged", "code"), [((), 0), (("run",), 1)])
def test_the_exit_code_says_whether_a_leak_reaches_a_score(
    flagged: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch
):
    leak = Leak("a", "b", 1, 2, 3, 0, "1:2", "somehow", ("run",), flagged)
    monkeypatch.setattr(module, "find_leaks", lambda workspace: [leak, Leak("c", "d")])
    shown = CliRunner().invoke(app, ["leaks", "--profile", "mini"])
    assert shown.exit_code == code
    assert "somehow" in shown.stdout
    assert "Not prepared, so not looked at: c / d." in shown.stdout
    assert '"by_part": "1:2"' in CliRunner().invoke(app, ["leaks", "--json"]).stdout
