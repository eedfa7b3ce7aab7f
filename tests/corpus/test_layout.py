from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.corpus.layout import audio_files, match_audio, read_metadata, walk
from benchmark.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "audio" / "fold1").mkdir(parents=True)
    (tmp_path / "audio" / "fold1" / "a.wav").write_bytes(b"12")
    (tmp_path / "audio" / "b.wav").touch()
    (tmp_path / "audio" / "notes.txt").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "does not exist"),
        ("", "not a readable CSV"),
        ('a,b\n"1,2\n3', "not a readable CSV"),
        ("a\n1\n", "no column 'b'"),
        ("a,b\n", "lists no clip"),
        ("a,b\n1,2\n3,\n", "row 3 has no b"),
    ],
)
def test_faults_of_metadata(tmp_path: Path, content: str | None, fault: str):
    if content is not None:
        (tmp_path / "meta.csv").write_text(content)
    with pytest.raises(DataError, match=fault) as caught:
        read_metadata(tmp_path / "meta.csv", ("a", "b"))
    assert "\n" not in str(caught.value)


def test_metadata_is_read_as_text(tmp_path: Path):
    (tmp_path / "meta.csv").write_text("a,b,c\n007,NA,\n")
    assert read_metadata(tmp_path / "meta.csv", ("a", "b")).iloc[0].tolist() == ["007", "NA", ""]


def test_a_complete_layout_passes(folder: Path):
    match_audio(folder, pd.Series(["audio/b.wav", "audio/fold1/a.wav"]), "audio")


@pytest.mark.parametrize(
    ("listed", "fault"),
    [
        (["audio/b.wav"], r"audio/fold1/a\.wav has no row"),
        (["audio/b.wav", "audio/fold1/a.wav", "audio/c.wav", "audio/d.wav"], r"lists audio/c\.wav, .* \(and 1 more\)"),
        (["audio/b.wav", "audio/fold1/a.wav", "audio/b.wav"], "twice"),
    ],
)
def test_faults_of_layout(folder: Path, listed: list[str], fault: str):
    with pytest.raises(DataError, match=fault) as caught:
        match_audio(folder, pd.Series(listed), "audio")
    assert "\n" not in str(caught.value)


def test_walk_and_missing_folder(folder: Path):
    assert {(file.path, file.size) for file in walk(folder)} == {
        ("audio/fold1/a.wav", 2),
        ("audio/b.wav", 0),
        ("audio/notes.txt", 0),
    }
    with pytest.raises(DataError, match="does not exist"):
        audio_files(folder, "sound")
