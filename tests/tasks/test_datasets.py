"""Traps of ESC-50, UrbanSound8K and the spoken digits; and the real recordings, where they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from benchmark import registry
from benchmark.corpus.prepare import prepare
from benchmark.corpus.store import Corpus
from benchmark.errors import DataError
from benchmark.records import Dataset
from tests.tasks.conftest import standin_corpus

REAL_CLIPS = {"esc50": 400, "urbansound8k": 1710, "fsdd": 3000}


@pytest.mark.parametrize(
    ("name", "metadata"), [("esc50", "meta/esc50.csv"), ("urbansound8k", "metadata/UrbanSound8K.csv")]
)
class TestMetadata:
    """What only datasets with a metadata file can get wrong. The table has all columns of the official one."""

    @pytest.fixture
    def folder(self, name: str, metadata: str, root: Path, tmp_path: Path) -> Path:
        standin_corpus(root, registry.load("dataset", name))
        shutil.copytree(root / "raw" / name, tmp_path / "raw")
        return tmp_path / "raw"

    def read(self, name: str, folder: Path, metadata: str, table: pd.DataFrame) -> pd.DataFrame:
        table.to_csv(folder / metadata, index=False)
        clips: pd.DataFrame = registry.load("dataset", name).read(folder)
        return clips

    def test_a_row_without_audio(self, name: str, metadata: str, folder: Path):
        table = pd.read_csv(folder / metadata)
        missing = str(table.iloc[5, 0])
        next(folder.rglob(missing)).unlink()
        with pytest.raises(DataError, match=f"{missing}, which is not there"):
            self.read(name, folder, metadata, table)

    def test_a_row_twice(self, name: str, metadata: str, folder: Path):
        table = pd.read_csv(folder / metadata)
        with pytest.raises(DataError, match="twice"):
            self.read(name, folder, metadata, pd.concat([table, table.iloc[:1]]))

    @pytest.mark.parametrize("column", ["class id", "class name", "source"])
    def test_a_contradiction(self, name: str, metadata: str, folder: Path, column: str):
        columns = {
            "esc50": {"class id": "target", "class name": "category", "source": "src_file"},
            "urbansound8k": {"class id": "classID", "class name": "class", "source": "fsID"},
        }[name]
        table = pd.read_csv(folder / metadata, dtype=str)
        table.loc[2, columns[column]] = "77"
        with pytest.raises(DataError, match="contradicts itself") as caught:
            self.read(name, folder, metadata, table)
        assert str(table.iloc[2, 0]) in str(caught.value)

    def test_a_subset_is_read_as_that(self, name: str, metadata: str, folder: Path):
        table = pd.read_csv(folder / metadata)
        kept = table[table["fold"].isin([1, 2])]
        for dropped in table.loc[~table["fold"].isin([1, 2])].iloc[:, 0]:
            next(folder.rglob(dropped)).unlink()
        assert len(self.read(name, folder, metadata, kept)) == len(kept)


def test_a_foreign_speaker_or_name_is_refused(root: Path, tmp_path: Path):
    fsdd = registry.load("dataset", "fsdd")
    for name in ("3_nobody_0.wav", "three_theo_0.wav", "3_theo_x.wav"):
        (tmp_path / name / "recordings").mkdir(parents=True)
        (tmp_path / name / "recordings" / name).touch()
        with pytest.raises(DataError, match="is not named"):
            fsdd.read(tmp_path / name)
    (tmp_path / "recordings").mkdir()
    with pytest.raises(DataError, match="no recording"):
        fsdd.read(tmp_path)


def test_standins_share_a_few_sources_as_the_real_sets_do(root: Path):
    esc50, us8k = (
        set(standin_corpus(root, registry.load("dataset", name)).clips["group"]) for name in ("esc50", "urbansound8k")
    )
    assert 0 < len(esc50 & us8k) < 0.1 * len(us8k)


def test_the_urban_standin_is_as_mixed_as_the_real_one(root: Path):
    standin_corpus(root, registry.load("dataset", "urbansound8k"))
    infos = [soundfile.info(path) for path in sorted((root / "raw" / "urbansound8k").rglob("*.wav"))]
    assert {info.subtype for info in infos} >= {"PCM_16", "PCM_24", "FLOAT", "ULAW", "MS_ADPCM"}
    assert {info.channels for info in infos} == {1, 2}
    assert len({info.samplerate for info in infos}) >= 4
    assert max(info.duration for info in infos) <= 4.0


@pytest.mark.real_audio
@pytest.mark.parametrize("name", sorted(REAL_CLIPS))
def test_real_audio_is_read_whole(name: str, real_audio: Path, tmp_path: Path):
    dataset: Dataset = registry.load("dataset", name)
    folder = real_audio / dataset.folder
    if not folder.is_dir():
        pytest.skip(f"real audio of {dataset.id} not found")
    manifest = prepare(dataset, folder, tmp_path / "corpus", 16_000, 2, False, tmp_path / "cache")
    corpus = Corpus.open(tmp_path / "corpus", manifest["fingerprint"])
    corpus.verify()
    assert len(corpus) == REAL_CLIPS[dataset.id]
    assert manifest["dropped"] == []
    infos = [soundfile.info(folder / path) for path in corpus.clips["path"]]
    expected = np.array([info.frames * 16_000 / info.samplerate for info in infos])
    assert np.abs(corpus.clips["samples"] - expected).max() <= 1
