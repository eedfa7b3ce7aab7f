from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.artifacts import read_json, write_json
from benchmark.corpus.prepare import write_absent
from benchmark.corpus.store import Corpus, read_manifest
from benchmark.errors import BenchmarkError, CorruptArtifactError, DataError, ForbiddenClipError, StaleArtifactError


def crop(corpus: Corpus, row: int, start: int, length: int, short: str) -> np.ndarray:
    """One crop, the slow and obvious way."""
    clip = corpus.clip(row)
    if short == "tile":
        return np.tile(clip, 1 + (start + length) // len(clip))[start : start + length]
    return np.pad(clip[start:], (0, length))[:length]


@pytest.mark.parametrize("short", ["pad", "tile"])
@pytest.mark.parametrize("length", [1, 300, 499, 1500, 2999, 7001])
def test_gather_equals_one_crop_at_a_time(corpus: Corpus, short: str, length: int):
    assert len(corpus.manifest["shards"]) > 2
    generator = np.random.default_rng(0)
    rows = generator.integers(0, len(corpus), 64)
    starts = generator.integers(0, corpus.clips["samples"].to_numpy()[rows])
    crops = corpus.gather(rows, starts, length, short)
    assert crops.shape == (64, length)
    assert crops.dtype == np.int16
    for row, start, found in zip(rows, starts, crops, strict=True):
        np.testing.assert_array_equal(found, crop(corpus, row, start, length, short))


def test_whole_clips_at_the_end_of_a_shard(corpus: Corpus):
    samples = corpus.clips["samples"].to_numpy()
    for row in range(len(corpus)):
        found = corpus.gather(np.array([row]), np.array([0]), samples[row])
        np.testing.assert_array_equal(found[0], corpus.clip(row))


def test_a_gather_is_a_copy(corpus: Corpus):
    crops = corpus.gather(np.array([0]), np.array([0]), 100)
    before = corpus.clip(0)[:100].copy()
    crops += 1
    np.testing.assert_array_equal(corpus.clip(0)[:100], before)


@pytest.mark.parametrize("start", [-1, 10_000])
def test_a_start_outside_the_clip_is_refused(corpus: Corpus, start: int):
    with pytest.raises(ValueError, match="inside its clip"):
        corpus.gather(np.array([0]), np.array([start]), 100)


def test_forbidden_clips_raise(corpus: Corpus):
    allowed = np.ones(len(corpus), bool)
    allowed[4] = False
    restricted = corpus.restricted(allowed, "it is a test clip")
    restricted.gather(np.array([0, 5]), np.array([0, 0]), 10)
    for read in (lambda: restricted.gather(np.array([0, 4]), np.zeros(2, int), 10), lambda: restricted.clip(4)):
        with pytest.raises(ForbiddenClipError, match=f"{corpus.clips['clip_id'][4]} of tones .* it is a test clip"):
            read()
    corpus.clip(4)  # the unrestricted corpus is as it was


def test_restrictions_add_up_and_do_not_follow_the_mask(corpus: Corpus):
    first = np.arange(len(corpus)) != 1
    twice = corpus.restricted(first, "first").restricted(np.arange(len(corpus)) != 2, "second")
    first[:] = True
    for row, reason in ((1, "first"), (2, "second")):
        with pytest.raises(ForbiddenClipError, match=reason):
            twice.clip(row)
    with pytest.raises(ValueError, match="boolean mask"):
        corpus.restricted(np.array([True]), "too short")


def test_facts(corpus: Corpus):
    assert (corpus.dataset, corpus.sample_rate, corpus.standin, len(corpus)) == ("tones", 8000, True, 10)
    assert corpus.clips.index.tolist() == list(range(10))
    assert corpus.fingerprint == corpus.manifest["fingerprint"]
    Corpus.open(corpus.folder, corpus.fingerprint).verify()


def one_sentence(error: BenchmarkError) -> None:
    assert "\n" not in str(error)
    assert "dvc repro" in str(error) or "again" in str(error)


def test_other_data_than_planned_is_stale(corpus: Corpus):
    with pytest.raises(StaleArtifactError) as caught:
        Corpus.open(corpus.folder, "0" * 32)
    one_sentence(caught.value)


def test_not_prepared_is_stale(tmp_path: Path):
    with pytest.raises(StaleArtifactError):
        Corpus.open(tmp_path / "nothing")


def test_another_format_is_stale(corpus: Corpus):
    write_json(corpus.folder / "manifest.json", {**corpus.manifest, "format": 0})
    with pytest.raises(StaleArtifactError) as caught:
        Corpus.open(corpus.folder)
    one_sentence(caught.value)


def test_a_damaged_manifest_is_corrupt(corpus: Corpus):
    (corpus.folder / "manifest.json").write_text('{"format": 1, "status"')
    with pytest.raises(CorruptArtifactError) as caught:
        Corpus.open(corpus.folder)
    one_sentence(caught.value)


@pytest.mark.parametrize("name", ["audio-00001.i16", "clips.parquet"])
def test_missing_and_truncated_files_are_corrupt(corpus: Corpus, name: str):
    path = corpus.folder / name
    content = path.read_bytes()
    for fault in (lambda: path.write_bytes(content[:-2]), path.unlink):
        fault()
        with pytest.raises(CorruptArtifactError, match=name) as caught:
            Corpus.open(corpus.folder)
        one_sentence(caught.value)


def test_a_flipped_byte_is_found(corpus: Corpus):
    for name, find in (
        ("clips.parquet", Corpus.open),
        ("audio-00000.i16", lambda folder: Corpus.open(folder).verify()),
    ):
        path = corpus.folder / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(CorruptArtifactError, match="checksum"):
            find(corpus.folder)
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def test_an_absent_dataset_says_why(tmp_path: Path):
    manifest = write_absent(tmp_path / "gtzan-16000", "gtzan", 16_000, "no folder genres")
    assert read_manifest(tmp_path / "gtzan-16000") == read_json(tmp_path / "gtzan-16000" / "manifest.json") == manifest
    assert manifest["status"] == "absent"
    with pytest.raises(DataError, match="gtzan is absent: no folder genres"):
        Corpus.open(tmp_path / "gtzan-16000")
