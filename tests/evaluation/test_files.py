"""Embeddings of a user's own files: those of the pipeline, in two formats, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from benchmark.corpus.store import Corpus
from benchmark.errors import ConfigError, DataError
from benchmark.evaluation.embedding import embed
from benchmark.evaluation.files import embed_files, find_audio, write_embeddings
from benchmark.evaluation.waveforms import HOP_SECONDS
from tests.pretraining.toys import RATE, ToyEncoder, toy_clips, write_corpus

LENGTHS = (40_000, 700, 16_000)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    generator = np.random.default_rng(0)
    audio = [(3000 * generator.standard_normal(n)).astype(np.int16) for n in LENGTHS]
    return write_corpus(tmp_path_factory.mktemp("corpus") / "noise", "noise", toy_clips(len(LENGTHS)), audio)


@pytest.fixture(scope="module")
def files(corpus: Corpus) -> list[Path]:
    """The wave files that the corpus was made from."""
    return find_audio([corpus.folder.parent / "noise-raw"])


@pytest.fixture
def encoder() -> ToyEncoder:
    torch.manual_seed(0)
    return ToyEncoder().eval()


def test_a_file_has_the_embeddings_of_its_clip_in_a_corpus(encoder: ToyEncoder, corpus: Corpus, files: list[Path]):
    expected = embed(encoder, corpus, np.arange(len(corpus)), HOP_SECONDS)
    found = list(embed_files(encoder, files, CPU))
    assert [each.file for each in found] == [str(file) for file in files]
    np.testing.assert_allclose(np.concatenate([each.slices for each in found]), expected.slices, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.stack([each.clip for each in found]), expected.clips, rtol=0, atol=1e-6)


def test_stereo_at_another_rate_is_averaged_and_resampled(encoder: ToyEncoder, tmp_path: Path):
    time = np.arange(3 * RATE) / RATE
    wave = 0.3 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "mono.wav", wave, RATE)
    fine = 0.3 * np.sin(2 * np.pi * 440 * np.arange(9 * RATE) / (3 * RATE))
    soundfile.write(tmp_path / "stereo.flac", np.stack([1.5 * fine, 0.5 * fine], 1), 3 * RATE)
    one, other = embed_files(encoder, find_audio([tmp_path]), CPU)
    np.testing.assert_allclose(one.clip, other.clip, atol=0.02)
    assert len(one.slices) == len(other.slices)


@pytest.mark.parametrize("timestamps", [False, True])
def test_both_formats_hold_the_same(encoder: ToyEncoder, files: list[Path], timestamps: bool, tmp_path: Path):
    for name in ("e.npz", "e.parquet"):
        write_embeddings(tmp_path / name, embed_files(encoder, files, CPU), 16, timestamps, {"run": "r-0"})
    npz = np.load(tmp_path / "e.npz", allow_pickle=False)
    table = pd.read_parquet(tmp_path / "e.parquet")
    assert json.loads(str(npz["metadata"])) == {"run": "r-0"}
    assert json.loads(pq.read_schema(tmp_path / "e.parquet").metadata[b"benchmark"]) == {"run": "r-0"}
    assert npz["files"].tolist() == [str(file) for file in files]
    rows = np.stack(table["embedding"].to_numpy())
    if not timestamps:
        assert set(npz.files) == {"files", "clips", "metadata"}
        np.testing.assert_array_equal(rows, npz["clips"])
        return
    np.testing.assert_array_equal(rows, npz["slices"])
    np.testing.assert_array_equal(table["file"].to_numpy(), npz["files"][npz["clip_of_slice"]])
    np.testing.assert_array_equal(table["start_seconds"].to_numpy(), npz["start_seconds"])
    assert (npz["slice_seconds"] == 1024 / RATE).all()
    assert (np.diff(npz["start_seconds"][npz["clip_of_slice"] == 0]) > 0).all()
    means = [npz["slices"][npz["clip_of_slice"] == i].mean(0) for i in range(len(files))]
    np.testing.assert_allclose(means, npz["clips"], atol=1e-6)


@pytest.mark.parametrize("name", ["e.npz", "e.parquet"])
def test_an_unreadable_file_leaves_nothing_half_written(
    encoder: ToyEncoder, files: list[Path], name: str, tmp_path: Path
):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no audio at all")
    out = tmp_path / "out" / name
    out.parent.mkdir()
    out.write_bytes(b"what was there before")
    with pytest.raises(DataError, match=r"broken.wav .*; leave it out or replace it"):
        write_embeddings(out, embed_files(encoder, [*files, broken], CPU), 16, True, {})
    assert [path.name for path in out.parent.iterdir()] == [name]
    assert out.read_bytes() == b"what was there before"


def test_files_and_folders_are_found_once_each(files: list[Path], tmp_path: Path):
    folder = files[0].parent
    assert find_audio([files[1], folder]) == [files[1], files[0], files[2]]
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match="no audio file in"):
        find_audio([tmp_path])
    with pytest.raises(ConfigError, match="does not exist; name audio files"):
        find_audio([tmp_path / "none"])
    with pytest.raises(ConfigError, match=r"written as \.npz or \.parquet"):
        write_embeddings(tmp_path / "e.csv", [], 16, False, {})
