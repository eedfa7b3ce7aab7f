from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark import registry
from benchmark.errors import DataError
from tests.tasks.conftest import standin_corpus

DATASET = registry.load("dataset", "voxforge")
AT = "www.repository.voxforge1.org/downloads/{}/Trunk/Audio/Main/16kHz_16bit/{}"


def layout(folder: Path, *archives: tuple[str, str]) -> Path:
    for language, name in archives:
        wav = folder / AT.format(language, name) / "wav"
        wav.mkdir(parents=True)
        (wav / "a0001.wav").touch()
        (wav.parent / "README").touch()
    lines = [AT.format(language, name) + ".tgz" for language, name in archives]
    (folder / "voxforge_urls.txt").write_text(
        "\n".join(f'"http://{line}"' if n % 2 else line for n, line in enumerate(lines))
    )
    return folder


def test_the_split_is_that_of_tfds(tmp_path: Path):
    names = [f"speaker{number}" for number in range(20)]
    clips = DATASET.read(layout(tmp_path, *[("en", f"{name}-20080101-abc") for name in names]))
    order = sorted(names)
    np.random.RandomState(0).shuffle(order)
    expected = dict(zip(order, ["train"] * 14 + ["valid"] + ["test"] * 5, strict=True))
    # 0.7 + 0.1 falls short of 0.8 in floating point, so TFDS cuts after 15 and not 16 speakers
    assert dict(zip(clips["group"].str.removeprefix("voxforge:"), clips["split"], strict=True)) == expected


def test_language_and_speaker_are_read_from_the_address(tmp_path: Path):
    archives = [
        ("ru", "anonymous-2008-a"),
        ("de", "anonymous-2009-b"),
        ("it", "Anna_B-2009-c"),
        *[("en", f"x{n}-1") for n in range(7)],
    ]
    clips = DATASET.read(layout(tmp_path, *archives)).set_index("clip_id")
    assert clips.loc[AT.format("ru", "anonymous-2008-a") + "/a0001", "language"] == "ru"
    assert clips.loc[AT.format("it", "Anna_B-2009-c") + "/a0001", "group"] == "voxforge:Anna_B"
    assert clips.loc[clips["group"] == "voxforge:anonymous", "split"].nunique() == 1


def test_an_archive_that_is_gone_changes_no_part(root: Path, tmp_path: Path):
    standin_corpus(root, DATASET)
    shutil.copytree(root / "raw" / "voxforge", tmp_path / "raw")
    before = DATASET.read(tmp_path / "raw").set_index("clip_id")
    shutil.rmtree(tmp_path / "raw" / before["path"].iloc[0].rsplit("/wav/", 1)[0])
    after = DATASET.read(tmp_path / "raw").set_index("clip_id")
    assert len(after) == len(before) - 2
    assert after["split"].equals(before["split"].loc[after.index])


@pytest.mark.parametrize("line", ["not an address", AT.format("xx", "a-1") + ".tgz", AT.format("en", "a-1") + ".zip"])
def test_a_line_that_is_no_archive_is_refused(tmp_path: Path, line: str):
    layout(tmp_path, ("en", "a-1"))
    (tmp_path / "voxforge_urls.txt").write_text(line)
    with pytest.raises(DataError, match="no archive of a language"):
        DATASET.read(tmp_path)
