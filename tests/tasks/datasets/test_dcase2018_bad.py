from __future__ import annotations

import pandas as pd
import pytest

from benchmark import registry
from benchmark.errors import DataError
from tests.tasks.datasets.conftest import CopyOf


def test_items_have_no_suffix_in_the_tables(copy_of: CopyOf):
    folder = copy_of("dcase2018_bad")
    table = pd.read_csv(folder / "ff1010bird_metadata_2018.csv", dtype=str)
    assert not table["itemid"].str.contains(".", regex=False).any()
    clips = registry.load("dataset", "dcase2018_bad").read(folder)
    own = clips[clips["fold"] == "ff1010bird"]
    assert own["path"].tolist() == [f"ff1010bird/wav/{item}.wav" for item in table["itemid"]]
    assert own["hasbird"].tolist() == table["hasbird"].tolist()


def test_only_freefield_s_items_are_freesound_s(copy_of: CopyOf):
    clips = registry.load("dataset", "dcase2018_bad").read(copy_of("dcase2018_bad"))
    namespaces = clips["group"].str.split(":").str[0].groupby(clips["fold"]).unique().map(list).to_dict()
    assert namespaces == {"ff1010bird": ["freesound"], "warblrb10k": ["warblr"], "BirdVox-DCASE-20k": ["birdvox"]}


def test_one_name_in_two_collections_is_two_clips(copy_of: CopyOf):
    folder = copy_of("dcase2018_bad")
    for name, file in (
        ("ff1010bird", "ff1010bird_metadata_2018.csv"),
        ("warblrb10k", "warblrb10k_public_metadata_2018.csv"),
    ):
        (folder / name / "wav" / "77.wav").touch()
        table = pd.read_csv(folder / file)
        pd.concat([table, pd.DataFrame([[77, name, 1]], columns=table.columns)]).to_csv(folder / file, index=False)
    clips = registry.load("dataset", "dcase2018_bad").read(folder)
    assert clips["clip_id"].is_unique
    assert clips["clip_id"].str.endswith("-77").sum() == 2


def test_a_bird_that_is_neither_there_nor_not(copy_of: CopyOf):
    folder = copy_of("dcase2018_bad")
    table = pd.read_csv(folder / "BirdVoxDCASE20k_csvpublic.csv", dtype=str)
    table.loc[0, "hasbird"] = "maybe"
    table.to_csv(folder / "BirdVoxDCASE20k_csvpublic.csv", index=False)
    with pytest.raises(DataError, match="unknown label 'maybe'"):
        registry.load("dataset", "dcase2018_bad").read(folder)


def test_no_placeholder_checksum():
    """One public loader states one md5 for seven different archives."""
    archives = registry.load("dataset", "dcase2018_bad").archives
    assert all(archive.md5 is None for archive in archives)
