from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark import registry
from benchmark.errors import DataError
from tests.tasks.conftest import standin_corpus

DATASET = registry.load("dataset", "librispeech100")


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    standin_corpus(root, DATASET)
    shutil.copytree(root / "raw" / DATASET.id, tmp_path / "raw")
    return tmp_path / "raw"


def layout(folder: Path, **chapters: int) -> Path:
    """Readers of empty files: ``r19_7=3`` is three utterances of reader 19 in chapter 7."""
    for name, utterances in chapters.items():
        speaker, chapter = name[1:].split("_")
        below = folder / "train-clean-100" / speaker / chapter
        below.mkdir(parents=True)
        for utterance in range(utterances):
            (below / f"{speaker}-{chapter}-{utterance:04d}.flac").touch()
    (folder / "SPEAKERS.TXT").write_text("19   | F | train-clean-100  | 25.19 | Reader\n")
    return folder


def parts(folder: Path) -> dict[str, list[str]]:
    clips = DATASET.read(folder).sort_values("clip_id")
    return {part: group["clip_id"].tolist() for part, group in clips.groupby("split")}


def test_251_readers():
    assert len(DATASET.labels["speaker"]) == 251
    assert list(DATASET.labels["speaker"]) == sorted(DATASET.labels["speaker"], key=int)


def test_the_smallest_chapter_is_the_test_part(tmp_path: Path):
    found = parts(layout(tmp_path, r19_7=5, r19_8=3, r19_9=3, r19_10=4))
    assert found["test"] == ["19-8-0000", "19-8-0001", "19-8-0002"]
    assert found["valid"] == ["19-10-0002", "19-10-0003"]
    assert len(found["train"]) == 10


def test_a_single_chapter_gives_its_end(tmp_path: Path):
    found = parts(layout(tmp_path, r19_7=10))
    assert found["test"] == ["19-7-0008", "19-7-0009"]
    assert found["valid"] == ["19-7-0007"]


def test_only_readers_with_one_chapter_are_tested_on_one_heard_in_training(folder: Path):
    clips = DATASET.read(folder)
    clips["chapter"] = clips["clip_id"].str.split("-").str[1]
    chapters = clips.groupby("speaker")["chapter"].nunique()
    shared = clips.groupby(["speaker", "chapter"])["split"].agg(lambda part: {"train", "test"} <= set(part))
    assert set(shared[shared].index.get_level_values("speaker")) == set(chapters[chapters == 1].index)


def test_other_subsets_of_the_speakers_file_do_not_matter_but_unknown_readers_do(folder: Path):
    DATASET.read(folder)
    with (folder / "SPEAKERS.TXT").open("a") as file:
        file.write("14   | F | train-clean-100  | 25.03 | Another Reader\n")
    with pytest.raises(DataError, match="unknown reader 14"):
        DATASET.read(folder)
