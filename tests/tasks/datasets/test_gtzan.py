from __future__ import annotations

import pandas as pd
import pytest

from benchmark import registry
from benchmark.errors import DataError
from tasks.datasets.gtzan import CLASSES, DUPLICATES, FILTERED
from tests.tasks.datasets.conftest import CopyOf


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The real set's thousand names, without sound."""
    folder = tmp_path_factory.mktemp("gtzan")
    for genre in CLASSES:
        (folder / "genres" / genre).mkdir(parents=True)
        for number in range(100):
            (folder / "genres" / genre / f"{genre}.{number:05d}.wav").touch()
    clips: pd.DataFrame = registry.load("dataset", "gtzan").read(folder)
    return clips


def test_the_filtered_split_has_its_published_sizes(whole: pd.DataFrame):
    assert whole["split"].value_counts().to_dict() == registry.load("dataset", "gtzan").expected_splits


def test_identical_files_are_one_group_and_at_most_one_is_used(whole: pd.DataFrame):
    clips = whole.set_index("clip_id")
    for first, second in DUPLICATES:
        assert clips["group"][first] == clips["group"][second]
        assert [clips["split"][first], clips["split"][second]].count("unused") >= 1
    assert whole["group"].nunique() == 1000 - len(DUPLICATES)


def test_the_corrupt_file_of_another_copy_is_kept(whole: pd.DataFrame):
    assert whole.set_index("clip_id")["split"]["jazz.00054"] != "unused"


def test_the_random_split_is_70_15_15_of_each_genre(whole: pd.DataFrame):
    counts = whole.groupby("genre")["random_split"].value_counts().unstack()
    assert (counts[["train", "valid", "test"]].to_numpy() == [70, 15, 15]).all()
    again = whole.sample(frac=1, random_state=0).sort_index()
    pd.testing.assert_series_equal(again["random_split"], whole["random_split"])


def test_the_committed_lists(whole: pd.DataFrame):
    listed = pd.read_csv(FILTERED)
    assert listed["file"].is_unique
    assert set(listed["file"]) <= set(whole["path"].str.removeprefix("genres/"))


def test_a_genre_in_another_genre_s_folder(copy_of: CopyOf):
    folder = copy_of("gtzan")
    (folder / "genres" / "rock" / "pop.00001.wav").touch()
    with pytest.raises(DataError, match="is not named"):
        registry.load("dataset", "gtzan").read(folder)
