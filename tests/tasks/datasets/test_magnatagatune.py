from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark import registry
from benchmark.errors import DataError
from tasks.datasets.magnatagatune import SPLITS, TAGS
from tests.tasks.conftest import standin_corpus
from tests.tasks.datasets.conftest import CopyOf


def edited(folder: Path, **cells: str) -> pd.DataFrame:
    """The clips after the first row of the annotations is changed."""
    table = pd.read_csv(folder / "annotations_final.csv", sep="\t", dtype=str)
    for column, value in cells.items():
        table.loc[0, column] = value
    table.to_csv(folder / "annotations_final.csv", sep="\t", index=False)
    clips: pd.DataFrame = registry.load("dataset", "magnatagatune").read(folder)
    return clips


def test_there_are_50_tags_and_a_split_of_12_1_3():
    assert len(TAGS) == len(set(TAGS)) == 50
    assert [list(SPLITS.values()).count(part) for part in ("train", "valid", "test")] == [12, 1, 3]


def test_the_folder_decides_the_split(copy_of: CopyOf):
    clips = registry.load("dataset", "magnatagatune").read(copy_of("magnatagatune"))
    assert (clips["split"] == clips["path"].str[0].map(SPLITS)).all()
    assert set(clips["path"].str[0]) == set("0123456789abcdef")


def test_clips_of_one_track_are_one_group(copy_of: CopyOf):
    folder = copy_of("magnatagatune")
    table = pd.read_csv(folder / "annotations_final.csv", sep="\t", dtype=str)
    track = "a/some_artist-an_album_vol-2-07-a-title_with-dashes"
    for row, times in enumerate(("0-29", "117-146")):
        (folder / table.loc[row, "mp3_path"]).unlink()
        table.loc[row, "mp3_path"] = f"{track}-{times}.mp3"
        (folder / table.loc[row, "mp3_path"]).touch()
    table.to_csv(folder / "annotations_final.csv", sep="\t", index=False)
    clips = registry.load("dataset", "magnatagatune").read(folder)
    assert clips["group"][:2].tolist() == ["mtt:some_artist-an_album_vol-2-07-a-title_with-dashes"] * 2


def test_tags_outside_the_fifty_do_not_count(copy_of: CopyOf):
    clips = edited(copy_of("magnatagatune"), bongos="1", **dict.fromkeys(TAGS, "0"))
    assert clips["tags"][0] == ""
    assert not clips["tagged"][0]


def test_tags_stand_in_the_order_of_their_frequency(copy_of: CopyOf):
    marks = dict.fromkeys(TAGS, "0") | {"no vocals": "1", "guitar": "1", "choral": "1"}
    assert edited(copy_of("magnatagatune"), **marks)["tags"][0] == "guitar|no vocals|choral"


@pytest.mark.parametrize(
    "path",
    ["g/a-b-01-c-0-29.mp3", "mp3/a/a-b-01-c-0-29.mp3", "a/a-b-01-c-0-29.wav", "a/a-b-01-c.mp3", "../a/x-0-29.mp3"],
)
def test_paths_that_are_none(copy_of: CopyOf, path: str):
    with pytest.raises(DataError, match="has the path"):
        edited(copy_of("magnatagatune"), mp3_path=path)


def test_a_mark_that_is_none(copy_of: CopyOf):
    with pytest.raises(DataError, match="other than 0 and 1"):
        edited(copy_of("magnatagatune"), guitar="0.5")


def test_empty_files_as_published_are_left_out(root: Path):
    corpus = standin_corpus(root, registry.load("dataset", "magnatagatune"))
    assert [drop["reason"] for drop in corpus.manifest["dropped"]] == ["empty file as published"]
    assert {Path(path).suffix for path in corpus.clips["path"]} == {".mp3"}
