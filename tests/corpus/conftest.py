"""A tiny dataset in a layout of its own, and corpora made from it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import soundfile

from benchmark.corpus.prepare import prepare
from benchmark.corpus.store import Corpus
from benchmark.records import Dataset

RATE = 8_000


class Tones(Dataset):
    """Every ``<class>-<number>.wav`` of a folder is a clip."""

    id = "tones"
    title = "Tones"
    homepage = "none"
    licence = "CC0"
    citation = "none"
    folder = "tones"
    labels: ClassVar[dict[str, tuple[str, ...]]] = {"class": ("low", "high")}
    expected_clips = 10

    def read(self, folder: Path) -> pd.DataFrame:
        names = sorted(path.stem for path in folder.glob("*.wav"))
        return pd.DataFrame(
            {
                "clip_id": names,
                "path": [f"{name}.wav" for name in names],
                "group": [f"tones:{name}" for name in names],
                "class": [name.split("-")[0] for name in names],
            }
        ).astype({"clip_id": str, "path": str})

    def write_standin(self, folder: Path, seed: int) -> None:
        generator = np.random.default_rng(seed)
        for number in range(10):
            length = int(generator.integers(500, 3000))
            audio = 0.5 * np.sin(np.arange(length) * (0.1 if number % 2 else 0.7)) + 0.01 * generator.standard_normal(
                length
            )
            soundfile.write(folder / f"{'low' if number % 2 else 'high'}-{number}.wav", audio, RATE)


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    folder = tmp_path / "raw" / "tones"
    folder.mkdir(parents=True)
    Tones().write_standin(folder, 0)
    return folder


@pytest.fixture
def corpus(tones: Path, tmp_path: Path) -> Corpus:
    """Ten clips in shards of about 4,000 samples."""
    prepare(Tones(), tones, tmp_path / "corpus", RATE, 1, True, tmp_path / "cache", shard_bytes=8_000)
    return Corpus.open(tmp_path / "corpus")
