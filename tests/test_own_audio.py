"""A folder of audio with a CSV of labels becomes a dataset and a task, or is refused in a sentence."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmark import registry
from benchmark.corpus.labelled import clips_table, grouped_folds, read_table
from benchmark.corpus.prepare import prepare, prepare_corpus
from benchmark.corpus.scan import scan
from benchmark.corpus.splits import SPLIT_SEED, folds, labels
from benchmark.corpus.store import Corpus
from benchmark.corpus.synthesis import write_wav
from benchmark.errors import ConfigError, DataError
from benchmark.own_audio import Checked, Request, add, check, summary
from benchmark.records import Dataset, Task
from benchmark.workspace import Workspace

RATE = 16_000
NAMED = {"file": "file", "label": "label", "fold": "fold", "group": "group"}


def tone(path: Path, hertz: float, seed: int, samples: int = 4000) -> None:
    noise = np.random.default_rng(seed).standard_normal(samples)
    write_wav(path, (0.3 * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE) + 0.02 * noise).astype("f4"), RATE)


def log_mel_statistics(corpus: Corpus) -> np.ndarray:
    encoder_class = registry.load("encoder", "logmel_statistics")
    encoder = encoder_class(encoder_class.Config()).eval()
    rows = np.arange(len(corpus))
    audio = torch.from_numpy(corpus.gather(rows, 0 * rows, 4000) / np.float32(32768))
    with torch.no_grad():
        return encoder(audio, torch.full((len(rows),), 4000)).numpy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve sources of two clips; low and high tones; three folds."""
    folder = tmp_path / "birds"
    (folder / "a b").mkdir(parents=True)
    rows = []
    for source in range(12):
        label = ("low", "high")[source % 2]
        for take in range(2):
            file = f"a b/{source}-{take}.wav"
            tone(folder / file, (300, 3000)[source % 2] * (1 + source / 50), 10 * source + take)
            rows.append((file, label, str(source // 2 % 3), f"nest {source}"))
    pd.DataFrame(rows, columns=list(NAMED.values())).to_csv(folder / "labels.csv", index=False)
    return folder


def request(folder: Path, **changes: object) -> Request:
    return Request(**{"folder": folder, "table": folder / "labels.csv", "name": "birds", "columns": NAMED, **changes})


def edit(folder: Path, **columns: object) -> None:
    table = pd.read_csv(folder / "labels.csv", dtype=str).assign(**columns)
    table.to_csv(folder / "labels.csv", index=False)


def loaded(file: Path, attribute: str) -> object:
    spec = importlib.util.spec_from_file_location(f"own_{attribute.lower()}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, attribute)


def added(
    folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch, **changes: object
) -> tuple[Dataset, Task, Workspace]:
    monkeypatch.setenv("BENCHMARK_DATA", str(root / "data"))
    workspace = Workspace(root, "test")
    asked = request(folder, **changes)
    checked = check(asked, root)
    assert checked.errors == []
    dataset, task = add(asked, checked, workspace, replace=False)
    return loaded(dataset, "DATASET"), loaded(task, "TASK"), workspace  # type: ignore[return-value]


def test_from_the_table_to_scores(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dataset, task, workspace = added(folder, tmp_path, monkeypatch)
    found = scan(dataset, workspace.raw, "real")
    prepare_corpus(dataset, found, workspace, RATE, 2)
    corpus = Corpus.open(workspace.corpus("birds", RATE))
    assert (corpus.manifest["coverage"], corpus.standin) == ({"clips": 24, "expected_clips": 24, "groups": 12}, False)
    assert corpus.manifest["parts"]["fold"] == dataset.expected_splits == {"0": 8, "1": 8, "2": 8}
    features, targets = log_mel_statistics(corpus), labels(task, dataset, corpus.clips)
    for fold in folds(task, corpus.clips, SPLIT_SEED):
        groups = [set(corpus.clips["group"].iloc[rows]) for rows in (fold.train, fold.valid, fold.test)]
        assert not groups[0] & groups[2]
        head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(
            features[fold.train], targets[fold.train]
        )
        assert head.score(features[fold.test], targets[fold.test]) == 1.0


def test_what_is_written_is_formatted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    added(folder, tmp_path, monkeypatch, licence="CC BY, é")
    ruff = [sys.executable, "-m", "ruff", "format", "--check", "--config", "pyproject.toml", str(tmp_path / "tasks")]
    done = subprocess.run(ruff, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stdout


def test_several_labels_a_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    edit(folder, label=["low", "high; low"] * 12)
    dataset, task, _ = added(folder, tmp_path, monkeypatch, join=";")
    assert (dataset.multi_labels, task.kind, task.metric) == ({"label": ("high", "low")}, "multi", "map")
    assert dataset.read(folder)["label"].tolist() == ["low", "high|low"] * 12


def test_a_profile_of_standins_does_not_run_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dataset, _, workspace = added(folder, tmp_path, monkeypatch)
    manifest = prepare_corpus(dataset, scan(dataset, workspace.raw, "standin"), workspace, RATE, 1)
    assert (manifest["status"], "no stand-in" in manifest["reason"]) == ("absent", True)
    with pytest.raises(DataError, match="no stand-in"):
        dataset.write_standin(tmp_path, 0)


def test_a_table_that_changed_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dataset, _, workspace = added(folder, tmp_path, monkeypatch)
    edit(folder, label=["high", "low"] * 12)
    with pytest.raises(DataError, match="not the table that was checked"):
        prepare(dataset, folder, tmp_path / "out", RATE, 1, False, workspace.cache)


def test_nothing_is_overwritten(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _, _, workspace = added(folder, tmp_path, monkeypatch)
    asked = request(folder)
    checked = Checked(clips_table("birds", read_table(asked.table, NAMED), "", 0), check(asked, tmp_path).task)
    with pytest.raises(ConfigError, match="--replace"):
        add(asked, checked, workspace, replace=False)
    add(asked, checked, workspace, replace=True)
    (tmp_path / "tasks" / "birds.py").write_text("TASK = None\n")
    with pytest.raises(ConfigError, match="choose another name"):
        add(asked, checked, workspace, replace=True)
    with pytest.raises(ConfigError, match="already"):
        add(request(folder, name="esc50"), checked, workspace, replace=False)


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"file": lambda t: ["../x.wav", *t["file"][1:]]}, "'../x.wav' leads out of the folder"),
        ({"file": lambda t: ["/x.wav", *t["file"][1:]]}, "'/x.wav' leads out of the folder"),
        ({"file": lambda t: ["x.wav", *t["file"][1:]]}, "'x.wav' has a row and is not there"),
        ({"file": lambda t: ["x.wav", *t["file"][1:]]}, "'a b/0-0.wav' is there and has no row"),
        ({"file": lambda t: [t["file"][1], *t["file"][1:]]}, "'a b/0-1.wav' has more than one row"),
        ({"label": "low"}, "there is only the label 'low'"),
        ({"label": lambda t: ["a|b", *t["label"][1:]]}, "--multi"),
        ({"label": lambda t: ["owl", "owl", *t["label"][2:]]}, "the label 'owl' has too few sources"),
        ({"group": "one"}, "1 groups lie in more than one fold"),
    ],
)
def test_what_would_spoil_a_score_is_told(folder: Path, tmp_path: Path, columns: dict[str, object], fault: str):
    edit(folder, **columns)
    errors = check(request(folder), tmp_path).errors
    assert any(fault in error for error in errors), errors
    assert not any("\n" in error for error in errors)


def test_the_same_audio_twice(folder: Path, tmp_path: Path):
    original = folder / "a b" / "0-0.wav"
    (folder / "a b" / "0-1.wav").write_bytes(original.read_bytes())
    checked = check(request(folder), tmp_path)
    assert not checked.errors
    assert any("are the same audio" in warning for warning in checked.warnings)
    (folder / "a b" / "2-0.wav").write_bytes(original.read_bytes())  # of another fold
    assert any("in more than one fold" in error for error in check(request(folder), tmp_path).errors)


def test_audio_that_cannot_be_decoded(folder: Path, tmp_path: Path):
    (folder / "a b" / "3-1.wav").write_text("no audio")
    assert any("3-1.wav is not audio" in error for error in check(request(folder), tmp_path).errors)


def test_overlap_with_a_prepared_corpus_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dataset, _, workspace = added(folder, tmp_path, monkeypatch)
    prepare(dataset, folder, workspace.corpus("birds", RATE), RATE, 1, False, tmp_path / "cache")
    told = check(request(folder, name="again"), tmp_path).warnings
    assert any("24 of 24 test clips are in birds too (24 the same audio)" in warning for warning in told)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_as_programs_write_them(tmp_path: Path, separator: str, encoding: str):
    path = tmp_path / "labels.csv"
    table = pd.DataFrame({"file": ["é 1.wav", "b.wav"], "label": ["grive, musicienne", "merle"]})
    table.to_csv(path, sep=separator, index=False, encoding=encoding)
    assert read_table(path, {"file": "file", "label": "label"}).equals(table.astype("str"))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"file,label\na.wav,\xff\n", "not UTF-8"),
        (b"file,class\na.wav,x\n", "has no column 'label'; it has 'file', 'class'"),
        (b"file,label\n", "has no row"),
        (b"file,label\na.wav,\n", "row 2 has an empty or unprintable label"),
        (b"file,label\na\x00.wav,x\n", "unprintable file"),
        (b"file,label\na.wav,x,y\n", "more fields than the header"),
        (b"", "not a readable CSV"),
    ],
)
def test_a_bad_table_is_one_sentence(tmp_path: Path, data: bytes, fault: str):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(DataError, match=fault) as caught:
        read_table(tmp_path / "t.csv", {"file": "file", "label": "label"})
    assert "\n" not in str(caught.value)


def test_without_a_division_it_is_refused(folder: Path, tmp_path: Path):
    columns = {"file": "file", "label": "label", "group": "group"}
    with pytest.raises(ConfigError, match="--folds 5"):
        check(request(folder, columns=columns), tmp_path)
    with pytest.raises(ConfigError, match="in one way"):
        check(request(folder, made_folds=3), tmp_path)
    with pytest.raises(ConfigError, match="lies outside"):
        check(request(folder, table=Path(__file__)), tmp_path)


def test_made_folds_keep_groups_whole_and_spread_classes(folder: Path, tmp_path: Path):
    columns = {"file": "file", "label": "label", "group": "group"}
    checked = check(request(folder, columns=columns, made_folds=3), tmp_path)
    assert not checked.errors
    assert checked.clips.groupby("group")["fold"].nunique().max() == 1
    assert (checked.clips.groupby(["fold", "label"]).size() == 4).all()
    groups, names = checked.clips["group"].tolist(), checked.clips["label"].tolist()
    backwards = grouped_folds(groups[::-1], names[::-1], 3)[::-1]
    assert backwards == checked.clips["fold"].tolist()  # whatever the order of the rows
    text = summary(checked)
    assert text.splitlines()[-1].split() == ["all", "8", "8", "8", "24", "12", "6.0"]


def test_without_groups_it_says_what_cannot_be_seen(folder: Path, tmp_path: Path):
    columns = {"file": "file", "label": "label"}
    told = check(request(folder, columns=columns, made_folds=2), tmp_path).warnings
    assert any("no group column" in warning for warning in told)


def test_the_command_ends_with_an_exit_code(folder: Path):
    edit(folder, group="one")
    command = [sys.executable, "-m", "benchmark", "add-audio", str(folder), "--csv", "labels.csv", "--name", "birds"]
    options = ["--fold-column", "fold", "--group-column", "group"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "nothing was written" in done.stderr
