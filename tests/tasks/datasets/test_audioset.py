from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from benchmark import registry
from benchmark.errors import DataError
from tasks.datasets.audioset import LISTS, NAMES
from tests.tasks.conftest import standin_corpus
from tests.tasks.datasets.conftest import CopyOf

HEADER = "# Segments csv created\n# num_ytids=0\n# YTID, start_seconds, end_seconds, positive_labels\n"


def read(folder: Path):
    return registry.load("dataset", "audioset").read(folder)


def with_segment(folder: Path, ytid: str, labels: str, *files: str) -> Path:
    """``folder`` with one more evaluation segment and its files."""
    with (folder / LISTS["eval"]).open("a") as file:
        file.write(f'{ytid}, 30.000, 40.000, "{labels}"\n')
    for name in files:
        (folder / "media" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "media" / name).touch()
    return folder


def test_there_are_527_classes_with_commas_in_their_names():
    names = list(NAMES.values())
    assert len(names) == len(set(names)) == 527
    assert names[:2] == ["Speech", "Male speech, man speaking"]


def test_labels_become_names_in_the_official_order(copy_of: CopyOf):
    folder = with_segment(copy_of("audioset"), "-abc_def-12", "/m/04rlf,/m/05zppz,/m/09x0r", "-abc_def-12.webm")
    clips = read(folder).set_index("clip_id")
    assert clips["labels"]["-abc_def-12"] == "Speech|Male speech, man speaking|Music"
    assert clips["group"]["-abc_def-12"] == "youtube:-abc_def-12"
    assert clips["path"]["-abc_def-12"] == "media/-abc_def-12.webm"


@pytest.mark.parametrize(
    ("ytid", "file"),
    [
        ("abcdefghijk", "abcdefghijk.mkv"),
        ("abcdefghijk", "deep/er/Yabcdefghijk.m4a"),
        ("abcdefghijk", "abcdefghijk_30000.OPUS"),
        ("abcdefghijk", "Yabcdefghijk_30.000_40.000.mp3"),
        ("Ybcdefghijk", "Ybcdefghijk.wav"),
        ("Y_-defghijk", "YY_-defghijk.wav"),
        ("_bcdefghij_", "_bcdefghij__0.wav"),
    ],
)
def test_names_of_media(copy_of: CopyOf, ytid: str, file: str):
    clips = read(with_segment(copy_of("audioset"), ytid, "/m/09x0r", file)).set_index("clip_id")
    assert clips["path"][ytid] == f"media/{file}"


@pytest.mark.parametrize("file", ["abcdefghijkl.wav", "Zabcdefghijk.wav", "abcdefghij.wav", "unlistedid1.wav"])
def test_media_of_no_segment(copy_of: CopyOf, file: str):
    with pytest.raises(DataError, match="named by no video id"):
        read(with_segment(copy_of("audioset"), "abcdefghijk", "/m/09x0r", file))


def test_a_video_twice(copy_of: CopyOf):
    with pytest.raises(DataError, match="holds the video abcdefghijk twice"):
        read(with_segment(copy_of("audioset"), "abcdefghijk", "/m/09x0r", "abcdefghijk.wav", "b/abcdefghijk.mp3"))
    folder = with_segment(with_segment(copy_of("audioset"), "abcdefghij1", "/m/09x0r"), "abcdefghij1", "/m/09x0r")
    with pytest.raises(DataError, match="have the video abcdefghij1 twice"):
        read(folder)


def test_segments_without_media_are_counted_not_refused(copy_of: CopyOf, root: Path):
    folder = copy_of("audioset")
    listed = sum(len((folder / file).read_text().splitlines()) - 3 for file in LISTS.values())
    manifest = standin_corpus(root, registry.load("dataset", "audioset")).manifest
    assert len(read(folder)) == manifest["coverage"]["clips"] < listed
    assert sum(manifest["parts"]["split"].values()) == manifest["coverage"]["clips"]


def test_other_files_beside_media_are_passed_over(copy_of: CopyOf):
    folder = with_segment(copy_of("audioset"), "abcdefghijk", "/m/09x0r", "abcdefghijk.wav", "abcdefghijk.json")
    assert "abcdefghijk" in set(read(folder)["clip_id"])


def test_no_media_at_all(copy_of: CopyOf):
    folder = copy_of("audioset")
    for file in sorted((folder / "media").rglob("*.*")):
        file.unlink()
    with pytest.raises(DataError, match="holds no media"):
        read(folder)


def test_balanced_leaves_the_unbalanced_list_out(copy_of: CopyOf):
    clips = read(copy_of("audioset"))
    task = registry.load("task", "audioset_balanced")
    assert set(clips.loc[clips[task.only], "split"]) == {"balanced_train", "eval"}
    assert set(clips.loc[clips["role"] == "train", "split"]) == {"balanced_train", "unbalanced_train"}


@pytest.mark.slow
def test_two_hundred_thousand_segments_are_read_in_seconds(copy_of: CopyOf, monkeypatch: pytest.MonkeyPatch):
    """A tenth of the whole, all with media. Measured: 1.6 s of CPU time."""
    folder = copy_of("audioset")
    generator = np.random.default_rng(0)
    mids = np.array(list(NAMES))
    ids = [f"{number:011d}" for number in range(200_000)]
    cells = [",".join(np.unique(mids[row])) for row in generator.integers(len(mids), size=(len(ids), 3))]
    rows = [f'{ytid}, 0.000, 10.000, "{cell}"' for ytid, cell in zip(ids, cells, strict=True)]
    (folder / LISTS["unbalanced_train"]).write_text(HEADER + "\n".join(rows) + "\n")
    paths = [f"media/{ytid[-2:]}/Y{ytid}.flac" for ytid in ids]
    monkeypatch.setattr("tasks.datasets.audioset.audio_files", lambda *_: paths)
    start = time.process_time()
    clips = read(folder)
    assert len(clips) == len(ids)
    assert clips["labels"].iloc[7].split("|") == [name for mid, name in NAMES.items() if mid in cells[7].split(",")]
    assert time.process_time() - start < 10
