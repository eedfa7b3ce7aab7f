"""The contract of every dataset, in-tree or installed, held on its stand-in; and on real recordings where they are."""

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


def test_the_record_is_complete(dataset: Dataset):
    assert registry.plugins("dataset")[dataset.id].load() is dataset
    for text in (dataset.title, dataset.homepage, dataset.licence, dataset.citation, dataset.folder):
        assert text.strip()
    assert dataset.expected_clips > 0
    assert dataset.labels
    for classes in dataset.labels.values():
        assert len(set(classes)) == len(classes) > 1
    for archive in dataset.archives:
        assert archive.url.startswith("https://") or archive.md5 or archive.sha256  # unsafe transport needs a checksum


def test_the_clips_table(dataset: Dataset, corpus: Corpus):
    clips = corpus.clips
    assert clips["clip_id"].is_unique
    assert clips["path"].is_unique
    assert not clips["path"].str.contains("\\", regex=False).any()
    assert clips["group"].str.fullmatch(r"[a-z0-9]+:\S+").all()
    for column, classes in dataset.labels.items():
        assert set(clips[column]) <= set(classes)
        if column not in dataset.sparse_labels:
            assert set(clips[column]) == set(dataset.standin_classes.get(column, classes))
    for column in {"fold", "split"} & set(clips):
        assert clips[column].map(type).eq(str).all()
    if "split" in clips:
        assert set(clips["split"]) <= {"train", "valid", "test"}
    assert (clips["samples"] > 0).all()


def test_reading_is_deterministic(dataset: Dataset, corpus: Corpus, root: Path):
    folder = root / "raw" / dataset.id
    pd.testing.assert_frame_equal(dataset.read(folder), dataset.read(folder))


@pytest.mark.slow
def test_writing_and_preparing_again_gives_the_same_corpus(dataset: Dataset, corpus: Corpus, tmp_path: Path):
    dataset.write_standin(_made(tmp_path / "raw"), 0)
    manifest = prepare(dataset, tmp_path / "raw", tmp_path / "again", 16_000, 1, True, tmp_path / "cache")
    assert manifest == corpus.manifest


@pytest.mark.slow
def test_another_seed_gives_other_audio(dataset: Dataset, corpus: Corpus, root: Path, tmp_path: Path):
    dataset.write_standin(_made(tmp_path / "raw"), 1)
    first = sorted(file for file in (tmp_path / "raw").rglob("*.*") if file.suffix in {".wav", ".flac"})[0]
    old = root / "raw" / dataset.id / first.relative_to(tmp_path / "raw")
    assert not old.exists() or old.read_bytes() != first.read_bytes()


def test_the_drop_list_is_honoured(
    dataset: Dataset, corpus: Corpus, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(root / "raw" / dataset.id, tmp_path / "raw")
    bad = corpus.clips["path"].iloc[3]
    (tmp_path / "raw" / bad).write_bytes(b"not audio")
    with pytest.raises(DataError, match="known_bad"):
        prepare(dataset, tmp_path / "raw", tmp_path / "out", 8_000, 2, True, tmp_path / "cache")
    monkeypatch.setattr(type(dataset), "known_bad", {bad: "overwritten"})
    manifest = prepare(dataset, tmp_path / "raw", tmp_path / "out", 8_000, 2, True, tmp_path / "cache")
    assert [(drop["path"], drop["reason"]) for drop in manifest["dropped"]] == [(bad, "overwritten")]
    assert manifest["coverage"]["clips"] == len(corpus) - 1


def test_audio_and_metadata_must_match(dataset: Dataset, corpus: Corpus, root: Path, tmp_path: Path):
    shutil.copytree(root / "raw" / dataset.id, tmp_path / "raw")
    below = (tmp_path / "raw" / corpus.clips["path"].iloc[0]).parent
    if dataset.id == "voxforge":  # it fixes the names of folders, not of files
        below = below.parent.with_name("unlisted-20090101-abc") / "wav"
        below.mkdir(parents=True)
    stray = below / "stray.wav"
    soundfile.write(stray, np.zeros(100), 8_000)
    with pytest.raises(DataError, match=r"stray\.wav") as caught:
        dataset.read(tmp_path / "raw")
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_one_sentence(dataset: Dataset, tmp_path: Path):
    with pytest.raises(DataError, match="does not exist") as caught:
        dataset.read(tmp_path)
    assert "\n" not in str(caught.value)


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
def test_real_audio_is_read_whole(dataset: Dataset, real_audio: Path, tmp_path: Path):
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


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
