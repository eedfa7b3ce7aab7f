from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

from benchmark import registry
from benchmark.errors import DataError

DATASET = registry.load("dataset", "voxceleb1")


def test_1251_speakers():
    speakers = DATASET.labels["speaker"]
    assert (len(speakers), speakers[0], speakers[-1]) == (1251, "id10001", "id11251")


def test_every_speaker_is_in_one_archive():
    groups = {archive.part_of or archive.file: archive.holds for archive in DATASET.archives}
    held = {
        name: {s for s in DATASET.labels["speaker"] if any(fnmatch(f"wav/{s}/video/1.wav", glob) for glob in globs)}
        for name, globs in groups.items()
    }
    assert held["vox1_test_wav.zip"] == {f"id{number}" for number in range(10_270, 10_310)}
    assert held["vox1_dev_wav.zip"] == set(DATASET.labels["speaker"]) - held["vox1_test_wav.zip"]


def test_the_list_is_followed(tmp_path: Path):
    lines = {
        "1 id10001/1zcIwhmdeo4/00001.wav": "train",
        "2 id10001/7gWzIy6yIIk/00002.wav": "valid",
        "3 id11251/-_cIwhmdeo4/00001.wav": "test",
    }
    for line in lines:
        path = tmp_path / "wav" / line[2:]
        path.parent.mkdir(parents=True)
        path.touch()
    (tmp_path / "iden_split.txt").write_text("\n".join(lines))
    clips = DATASET.read(tmp_path)
    assert dict(zip(clips["path"], clips["split"], strict=True)) == {
        f"wav/{line[2:]}": part for line, part in lines.items()
    }
    assert set(clips["group"]) == {"youtube:1zcIwhmdeo4", "youtube:7gWzIy6yIIk", "youtube:-_cIwhmdeo4"}


@pytest.mark.parametrize(
    "line", ["4 id10001/1zcIwhmdeo4/00001.wav", "1 id10000/1zcIwhmdeo4/00001.wav", "1 ../../etc/passwd"]
)
def test_a_line_that_is_none_is_refused(tmp_path: Path, line: str):
    (tmp_path / "wav").mkdir()
    (tmp_path / "iden_split.txt").write_text(line)
    with pytest.raises(DataError, match="is none of it"):
        DATASET.read(tmp_path)
