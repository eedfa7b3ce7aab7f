from __future__ import annotations

from pathlib import Path

import pytest

from benchmark import registry
from benchmark.errors import DataError

DATASET = registry.load("dataset", "kaggle_slid")
A, B = "0" * 32, "9f" * 16


def layout(folder: Path, *paths: str) -> Path:
    for part in ("train", "test"):
        (folder / part).mkdir()
    for path in paths:
        (folder / path).touch()
    return folder


def test_names_tell_everything(tmp_path: Path):
    paths = {
        f"train/de_f_{A}.fragment1.flac": ("de", f"slid:{A}", True),
        f"train/de_f_{A}.fragment1.speed8.flac": ("de", f"slid:{A}", False),
        f"train/de_f_{A}.fragment30.noise12.flac": ("de", f"slid:{A}", False),
        f"test/en_m_{B}.fragment90.flac": ("en", f"slid:{B}", True),
    }
    clips = DATASET.read(layout(tmp_path, *paths)).set_index("path")
    assert {path: tuple(clips.loc[path, ["language", "group", "original"]]) for path in paths} == paths
    assert clips["split"].to_dict() == {path: path.split("/")[0] for path in paths}


@pytest.mark.parametrize(
    "name", [f"fr_f_{A}.fragment1.flac", f"de_f_{A}.flac", "de_f_12.fragment1.flac", f"de_f_{A}.fragment1.echo1.flac"]
)
def test_other_names_are_refused(tmp_path: Path, name: str):
    with pytest.raises(DataError, match="remove it or fetch again"):
        DATASET.read(layout(tmp_path, f"train/{name}"))
