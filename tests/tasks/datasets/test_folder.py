from __future__ import annotations

from pathlib import Path

import pytest

from benchmark import registry
from benchmark.corpus.prepare import prepare
from benchmark.errors import DataError
from tasks.datasets.folder import AudioFolder
from tests.tasks.datasets.conftest import CopyOf


def test_sub_folders_are_groups_and_files_at_the_top_their_own(copy_of: CopyOf):
    clips = registry.load("dataset", "folder").read(copy_of("folder")).set_index("path")
    assert clips["group"]["street/1.wav"] == clips["group"]["street/2.wav"] == "folder:street"
    assert clips["group"]["park/deep/x.wav"] == "folder:park/deep"
    assert clips["group"]["c d.mp3"] == "folder:c%20d.mp3"


def test_other_files_are_passed_over(copy_of: CopyOf):
    folder = copy_of("folder")
    before = registry.load("dataset", "folder").read(folder)
    (folder / "notes.txt").touch()
    (folder / "street" / "cover.jpg").touch()
    (folder / ".hidden.wav").touch()
    assert registry.load("dataset", "folder").read(folder).equals(before)


def test_nothing_to_read(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match="holds no audio file"):
        registry.load("dataset", "folder").read(tmp_path)


def test_another_name_is_a_subclass(root: Path, tmp_path: Path):
    class FieldRecordings(AudioFolder):
        id = "field_recordings"
        folder = "field_recordings"

    (tmp_path / "raw").mkdir()
    FieldRecordings().write_standin(tmp_path / "raw", 0)
    manifest = prepare(FieldRecordings(), tmp_path / "raw", tmp_path / "out", 8_000, 2, False, tmp_path / "cache")
    assert manifest["dataset"] == "field_recordings"
    assert set(FieldRecordings().read(tmp_path / "raw")["group"].str.split(":").str[0]) == {"field_recordings"}
