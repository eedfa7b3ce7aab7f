from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark import registry
from benchmark.errors import DataError
from tasks.datasets._speech_commands import NOISE, which_set
from tests.tasks.conftest import standin_corpus

OFFICIAL = {  # speakers from v0.01's own lists
    "valid": ("8b775397", "2643992f", "060cd039", "f5e5e8b0"),
    "test": ("2aa787cf", "ffa76c4a", "24ad3ebe", "d7467392"),
}


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    standin_corpus(root, registry.load("dataset", "speech_commands_v2"))
    shutil.copytree(root / "raw" / "speech_commands_v2", tmp_path / "raw")
    return tmp_path / "raw"


def test_the_rule_agrees_with_the_official_lists():
    assert {part: {which_set(speaker) for speaker in speakers} for part, speakers in OFFICIAL.items()} == {
        "valid": {"valid"},
        "test": {"test"},
    }


def test_the_rule_gives_80_10_10():
    parts = [which_set(f"{number:08x}") for number in range(20_000)]
    assert parts.count("train") / 20_000 == pytest.approx(0.8, abs=0.01)
    assert parts.count("valid") / 20_000 == pytest.approx(0.1, abs=0.01)


def test_the_releases_have_their_words():
    first, second = (registry.load("dataset", f"speech_commands_v{n}").words for n in (1, 2))
    assert (len(first), len(second)) == (30, 35)
    assert set(second) - set(first) == {"backward", "follow", "forward", "learn", "visual"}


def test_background_noise_is_no_clip(folder: Path):
    assert len(list((folder / NOISE).glob("*.wav"))) == 2
    assert not registry.load("dataset", "speech_commands_v2").read(folder)["path"].str.contains(NOISE).any()


def test_the_lists_are_not_needed(folder: Path):
    dataset = registry.load("dataset", "speech_commands_v2")
    with_lists = dataset.read(folder)
    (folder / "testing_list.txt").unlink()
    (folder / "validation_list.txt").unlink()
    assert dataset.read(folder).equals(with_lists)


@pytest.mark.parametrize("fault", ["a listed clip is gone", "a list lacks a clip", "a training clip is listed"])
def test_a_list_that_contradicts_the_rule_is_one_sentence(folder: Path, fault: str):
    dataset = registry.load("dataset", "speech_commands_v2")
    file, clips = folder / "testing_list.txt", dataset.read(folder)
    lines = file.read_text().split()
    if fault == "a listed clip is gone":
        (folder / lines[0]).unlink()
    elif fault == "a list lacks a clip":
        file.write_text("\n".join(lines[1:]))
    else:
        file.write_text("\n".join([*lines, clips.loc[clips["split"] == "train", "path"].iloc[0]]))
    with pytest.raises(DataError, match=r"testing_list\.txt") as caught:
        dataset.read(folder)
    assert "\n" not in str(caught.value)


def test_a_word_of_the_other_release_is_refused(folder: Path):
    (folder / "follow").rename(folder / "followed")
    with pytest.raises(DataError, match="35 words"):
        registry.load("dataset", "speech_commands_v2").read(folder)
