"""The contract of every dataset and every task, in-tree or installed, held on stand-ins."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from benchmark import registry
from benchmark.corpus import decode
from benchmark.corpus.layout import MEDIA, walk
from benchmark.corpus.prepare import prepare
from benchmark.corpus.splits import classes, folds, labels, selected
from benchmark.corpus.store import Corpus
from benchmark.errors import DataError
from benchmark.records import Archive, Dataset, Task
from tests.tasks.conftest import WITH_STANDIN, standin_corpus

PARTS = {"train", "valid", "test", "unused"}

SIZES = {
    "audioset": {"split": {"balanced_train": 41, "unbalanced_train": 26, "eval": 40}},
    "dcase2013_scenes": {"fold": {"public": 50, "private": 50}},
    "dcase2018_bad": {"fold": {"ff1010bird": 26, "warblrb10k": 26, "BirdVox-DCASE-20k": 26}},
    "esc50": {"fold": dict.fromkeys("12345", 80)},
    "folder": {},
    "fsd50k": {"split": {"train": 35, "valid": 15, "test": 25}},
    "fsdd": {"split": {"train": 300, "test": 300}},
    "fsdkaggle2019": {"split": {"train_curated": 36, "train_noisy": 36, "test": 30}},
    "fsdnoisy18k": {"split": {"train_noisy": 60, "train_clean": 60, "test": 40}},
    "gtzan": {"split": {"train": 50, "valid": 20, "test": 30, "unused": 8}},
    "magnatagatune": {"split": {"train": 72, "valid": 6, "test": 18}},
    "tau2019_1a": {"split": {"train": 60, "test": 40, "unused": 20}},
    "tut2018_1a": {"split": {"train": 60, "test": 40}},
}
"""Clips of each part of a stand-in."""

TASKS = {  # folds, classes in the stand-in
    "audioset": (1, 6),
    "audioset_balanced": (1, 6),
    "bird_detection": (3, 2),
    "dcase2013_scenes": (2, 10),
    "dcase2019_task1a": (1, 10),
    "esc10": (5, 10),
    "esc50": (5, 50),
    "fsdd_digit": (6, 10),
    "fsdd_digit_official": (1, 10),
    "fsdd_speaker": (1, 6),
    "fsdkaggle2019_curated": (1, 6),
    "fsdkaggle2019_noisy": (1, 6),
    "fsdnoisy18k_clean": (1, 20),
    "fsdnoisy18k_noisy": (1, 20),
    "fsdnoisy18k_val": (3, 20),
    "gtzan": (1, 10),
    "gtzan_random": (1, 10),
    "magnatagatune": (1, 6),
    "tut2018_scenes": (1, 10),
    "us8k": (10, 10),
}


class EnoughError(Exception):
    """The first file is there."""


def write_first_audio(dataset: Dataset, folder: Path, seed: int) -> None:
    """Write a stand-in until its second audio file is about to be encoded."""
    encode = soundfile.write
    encoded = 0

    def once(*args: Any, **options: Any) -> None:
        nonlocal encoded
        if encoded:
            raise EnoughError
        encoded += 1
        encode(*args, **options)

    with pytest.MonkeyPatch.context() as patch, suppress(EnoughError):
        patch.setattr(soundfile, "write", once)
        dataset.write_standin(folder, seed)


class TestDataset:
    def test_the_record_is_complete(self, dataset: Dataset):
        assert registry.plugins("dataset")[dataset.id].load() is dataset
        for text in (
            dataset.title,
            dataset.homepage,
            dataset.licence,
            dataset.citation,
            dataset.folder,
            *dataset.notes,
        ):
            assert text.strip()
        assert not set(dataset.labels) & set(dataset.multi_labels)
        for names in (*dataset.labels.values(), *dataset.multi_labels.values()):
            assert len(set(names)) == len(names) > 1
        for names in dataset.multi_labels.values():
            assert not any("|" in name or not name for name in names)
        assert dataset.archives or dataset.access == "user-supplied"
        assert dataset.access == "open" or dataset.steps

    def test_expected_counts_add_up(self, dataset: Dataset, corpus: Corpus):
        assert dataset.expected_clips > 0 or not dataset.archives
        if dataset.expected_splits:
            assert sum(dataset.expected_splits.values()) == dataset.expected_clips
            column = next(c for c in ("split", "fold") if set(corpus.clips.get(c, [])) & set(dataset.expected_splits))
            assert set(corpus.clips[column]) <= set(dataset.expected_splits)

    def test_archives_are_sane(self, dataset: Dataset):
        names = [archive.file for archive in dataset.archives]
        assert len(set(names)) == len(names)
        for archive in dataset.archives:
            assert archive.url.startswith("https://") or archive.md5 or archive.sha256, (
                "neither authentic nor verifiable"
            )
            assert archive.md5 is None or re.fullmatch("[0-9a-f]{32}", archive.md5)
            assert archive.sha256 is None or re.fullmatch("[0-9a-f]{64}", archive.sha256)
            assert archive.bytes is None or archive.bytes > 0
            assert archive.source
            assert ".." not in PurePosixPath(archive.into).parts
            assert PurePosixPath(archive.into).parts[:1] in {(), (dataset.folder,)}
        if dataset.file_checksums:
            assert dataset.file_checksums.url.startswith("https://")

    def test_parts_belong_together(self, dataset: Dataset):
        for parts in whole_archives(dataset):
            assert len({(part.into, part.holds, part.zenodo) for part in parts}) == 1
            if parts[0].part_of:
                assert len(parts) > 1
                assert parts[0].part_of not in {archive.file for archive in dataset.archives} - {parts[-1].file}

    def test_every_file_is_in_one_archive(self, dataset: Dataset, corpus: Corpus, root: Path):
        files = [file.path for file in walk(root / "raw" / dataset.id)]
        patterns = [parts[0].holds for parts in whole_archives(dataset)]
        held = {path: sum(any(fnmatchcase(path, p) for p in holds) for holds in patterns) for path in files}
        once = {1} if dataset.access != "user-supplied" else {0, 1}
        assert {path: count for path, count in held.items() if count not in once} == {}

    def test_sizes(self, dataset: Dataset, corpus: Corpus):
        expected = SIZES.get(dataset.id)
        if expected is not None:
            for column, sizes in expected.items():
                assert Counter(corpus.clips[column]) == sizes
            assert len(corpus) <= 600

    def test_the_clips_table(self, dataset: Dataset, corpus: Corpus):
        clips = corpus.clips
        assert clips["clip_id"].is_unique
        assert clips["path"].is_unique
        assert not clips["path"].str.contains("\\", regex=False).any()
        assert clips["group"].str.fullmatch(r"[a-z0-9_]+:\S+").all()
        for column, names in dataset.labels.items():
            assert set(clips[column]) <= set(names)
            assert clips[column].nunique() > 1
        for column, names in dataset.multi_labels.items():
            for cell in clips[column]:
                own = cell.split("|") if cell else []
                assert own == [name for name in names if name in own], "not classes, or not in their order"
        for column in {"fold", "split"} & set(clips):
            assert clips[column].map(type).eq(str).all()
        assert (clips["samples"] > 0).all()

    def test_reading_is_deterministic(self, dataset: Dataset, corpus: Corpus, root: Path):
        folder = root / "raw" / dataset.id
        pd.testing.assert_frame_equal(dataset.read(folder), dataset.read(folder))

    @pytest.mark.slow
    def test_writing_again_gives_the_same_bytes_and_the_same_clips(
        self, dataset: Dataset, corpus: Corpus, root: Path, tmp_path: Path
    ):
        """And the same corpus: what is prepared depends on nothing but these (``tests/corpus/test_prepare.py``)."""
        (tmp_path / "raw").mkdir()
        dataset.write_standin(tmp_path / "raw", 0)
        for file in walk(tmp_path / "raw"):
            written = (tmp_path / "raw" / file.path).read_bytes()
            assert written == (root / "raw" / dataset.id / file.path).read_bytes(), file.path
        pd.testing.assert_frame_equal(dataset.read(tmp_path / "raw"), dataset.read(root / "raw" / dataset.id))

    @pytest.mark.slow
    def test_another_seed_gives_other_audio(self, dataset: Dataset, corpus: Corpus, root: Path, tmp_path: Path):
        (tmp_path / "raw").mkdir()
        write_first_audio(dataset, tmp_path / "raw", 1)
        written = [file.path for file in walk(tmp_path / "raw") if Path(file.path).suffix in MEDIA]
        assert written
        for path in written:
            old = root / "raw" / dataset.id / path
            assert not old.exists() or old.read_bytes() != (tmp_path / "raw" / path).read_bytes()

    def test_the_drop_list_is_honoured(
        self, dataset: Dataset, corpus: Corpus, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        shutil.copytree(root / "raw" / dataset.id, tmp_path / "raw")
        bad = corpus.clips["path"].iloc[3]
        (tmp_path / "raw" / bad).write_bytes(b"not audio")
        real_decode, broken = decode.decode, tmp_path / "raw" / bad
        monkeypatch.setattr(
            decode, "decode", lambda path, rate: real_decode(path, rate) if path == broken else np.ones(8, np.float32)
        )
        with pytest.raises(DataError, match="known_bad"):
            prepare(dataset, tmp_path / "raw", tmp_path / "out", 8_000, 2, True, tmp_path / "cache")
        monkeypatch.setattr(type(dataset), "known_bad", {**dataset.known_bad, bad: "overwritten"})
        manifest = prepare(dataset, tmp_path / "raw", tmp_path / "out", 8_000, 2, True, tmp_path / "cache")
        assert (bad, "overwritten") in [(drop["path"], drop["reason"]) for drop in manifest["dropped"]]
        assert manifest["coverage"]["clips"] == len(corpus) - 1
        assert bad not in set(Corpus.open(tmp_path / "out").clips["path"])

    def test_audio_and_metadata_must_match(self, dataset: Dataset, corpus: Corpus, root: Path, tmp_path: Path):
        if not dataset.archives:
            pytest.skip("a folder of anything")
        shutil.copytree(root / "raw" / dataset.id, tmp_path / "raw")
        first = Path(corpus.clips["path"].iloc[0])
        if dataset.id == "voxforge":  # lists submissions, not their files
            first = first.parents[1].with_name("unlisted-20090101-abc") / "wav" / first.name
            (tmp_path / "raw" / first).parent.mkdir(parents=True)
        (tmp_path / "raw" / first.with_name(f"stray{first.suffix}")).touch()
        with pytest.raises(DataError, match=rf"stray\{first.suffix}") as caught:
            dataset.read(tmp_path / "raw")
        assert "\n" not in str(caught.value)

    def test_an_empty_folder_is_one_sentence(self, dataset: Dataset, tmp_path: Path):
        with pytest.raises(DataError, match="does not exist") as caught:
            dataset.read(tmp_path)
        assert "\n" not in str(caught.value)


TASKS_WITH_STANDIN = sorted(
    name for name in registry.plugins("task") if registry.load("task", name).dataset in WITH_STANDIN
)


@pytest.fixture(params=TASKS_WITH_STANDIN, scope="module")
def task(request: pytest.FixtureRequest) -> Task:
    return registry.load("task", request.param)


@pytest.fixture(scope="module")
def record(task: Task) -> Dataset:
    return registry.load("dataset", task.dataset)


@pytest.fixture(scope="module")
def clips_of(task: Task, record: Dataset, root: Path) -> Corpus:
    return standin_corpus(root, record)


class TestTask:
    def test_the_record(self, task: Task, record: Dataset, clips_of: Corpus):
        assert registry.plugins("task")[task.id].load() is task
        assert task.label in (record.multi_labels if task.kind == "multi" else record.labels)
        assert task.kind != "binary" or len(record.labels[task.label]) == 2
        if task.only:
            assert clips_of.clips[task.only].dtype == bool
        if task.split_column:
            assert set(clips_of.clips[task.split_column]) <= PARTS

    def test_no_clip_is_tested_twice(self, task: Task, clips_of: Corpus):
        rows = selected(task, clips_of.clips)
        tested = np.concatenate([fold["test"] for fold in official_parts(task, clips_of.clips)])
        assert len(set(tested)) == len(tested) > 0
        if task.fold_column:
            assert set(tested) == set(rows)

    def test_parts_share_no_clip_and_training_covers_the_test(self, task: Task, clips_of: Corpus):
        names = label_sets(task, clips_of.clips)
        for fold in official_parts(task, clips_of.clips):
            rows = np.concatenate(list(fold.values()))
            assert len(set(rows)) == len(rows)
            trained, tested = (set().union(*(names[row] for row in fold[part])) for part in ("train", "test"))
            assert trained >= tested
            assert len(tested) > 1

    def test_groups_do_not_straddle(self, task: Task, record: Dataset, clips_of: Corpus):
        if task.kind == "multi":
            pytest.skip("the inner split of several labels has its own tests")
        clips, numbers = clips_of.clips, labels(task, record, clips_of.clips, standin=True)
        for fold in folds(task, clips, 0):
            train, valid, test = (set(clips[task.group].iloc[rows]) for rows in (fold.train, fold.valid, fold.test))
            assert train
            assert valid
            assert test
            assert not train & (valid | test)
            assert not valid & test
            assert set(numbers[fold.test]) <= set(numbers[fold.train])

    def test_sizes(self, task: Task, record: Dataset, clips_of: Corpus):
        if task.id in TASKS:
            names = label_sets(task, clips_of.clips)
            found = {name for row in selected(task, clips_of.clips) for name in names[row]}
            assert (len(official_parts(task, clips_of.clips)), len(found)) == TASKS[task.id]

    def test_classes_are_in_the_official_order(self, task: Task, record: Dataset, clips_of: Corpus):
        if task.kind != "multi":
            found = classes(task, record, clips_of.clips, standin=True)
            assert found == tuple(name for name in record.labels[task.label] if name in found)


def official_parts(task: Task, clips: pd.DataFrame) -> list[dict[str, np.ndarray]]:
    """Rows of the parts of every fold as the task's column states them, before a validation part is taken out."""
    rows = selected(task, clips)
    value = clips[task.fold_column or task.split_column].to_numpy(dtype=object)[rows]
    if task.split_column:
        return [{part: rows[value == part] for part in ("train", "valid", "test")}]
    return [{"train": rows[value != fold], "test": rows[value == fold]} for fold in sorted(set(value))]


def label_sets(task: Task, clips: pd.DataFrame) -> list[set[str]]:
    """The labels of every clip."""
    if task.kind == "multi":
        return [set(cell.split("|")) - {""} for cell in clips[task.label]]
    return [{name} for name in clips[task.label]]


def whole_archives(dataset: Dataset) -> list[list[Archive]]:
    """Archives with their parts together."""
    groups: dict[str, list[Archive]] = {}
    for archive in dataset.archives:
        groups.setdefault(archive.part_of or archive.file, []).append(archive)
    return list(groups.values())
