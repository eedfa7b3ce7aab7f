"""FSDnoisy18k: 18,532 Freesound clips in 20 classes, a small clean and a large noisy training set (Fonseca et al. 2019)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    FileChecksums,
    check_labels,
    match_audio,
    numpy_stream,
    read_metadata,
    sound_clip,
    sound_kinds,
    write_wav,
)

CLASSES = (
    *("Acoustic_guitar", "Bass_guitar", "Clapping", "Coin_(dropping)", "Crash_cymbal"),
    *("Dishes_and_pots_and_pans", "Engine", "Fart", "Fire", "Fireworks"),
    *("Glass", "Hi-hat", "Piano", "Rain", "Slam"),
    *("Squeak", "Tearing", "Walk_or_footsteps", "Wind", "Writing"),
)

_META = "FSDnoisy18k.meta"
_FOLDS = 10
_NOISY_SPLIT = {"train_noisy": "train", "train_clean": "valid", "test": "test"}  # fonseca2021, 3.2
_CLEAN_SPLIT = {"train_noisy": "unused", "train_clean": "train", "test": "test"}
_CLEAN_VALID = 0.15  # fonseca2021, 5.2
_SOURCE = "soundata soundata/datasets/fsdnoisy18k.py (read 009ec15e; PyPI soundata 0.1.3)"
_RATE = 44_100
_STANDIN_CLIPS = {"train_clean": 3, "train_noisy": 3, "test": 2}
_STANDIN_WRONG = 0.3
"""Share of wrong labels in the stand-in's noisy part."""


def _archive(name: str, md5: str, *holds: str) -> Archive:
    url = f"https://zenodo.org/record/2529934/files/{name}?download=1"
    return Archive(name, url, md5=md5, source=_SOURCE, zenodo=2_529_934, into="FSDnoisy18k", holds=holds)


class FsdNoisy18k(Dataset):
    """Audio in two folders, labels in ``FSDnoisy18k.meta``; file names are Freesound ids."""

    id = "fsdnoisy18k"
    title = "FSDnoisy18k"
    homepage = "http://www.eduardofonseca.net/FSDnoisy18k/"
    licence = "CC BY 4.0 (clips: CC BY or CC0)"
    citation = (
        "E. Fonseca, M. Plakal, D. P. W. Ellis, F. Font, X. Favory, X. Serra. "
        "Learning Sound Event Classifiers from Web Audio with Noisy Labels. ICASSP 2019."
    )
    archives = (
        _archive("FSDnoisy18k.audio_train.zip", "34dc1d34ca44622af5bf439ceb6f0d55", "FSDnoisy18k.audio_train/*"),
        _archive("FSDnoisy18k.audio_test.zip", "1ac73d70b4ef3f81900d98c261a832de", "FSDnoisy18k.audio_test/*"),
        _archive("FSDnoisy18k.meta.zip", "96e27a4a63b7a2870522ddcedb5d8296", f"{_META}/*"),
        _archive("FSDnoisy18k.doc.zip", "093a1ca185ec341ca4eac14215e7f96b"),
    )
    folder = "FSDnoisy18k"
    labels = {"label": CLASSES}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = 18_532
    expected_splits = {"train_noisy": 15_813, "train_clean": 1_772, "test": 947}  # noqa: RUF012
    file_checksums = FileChecksums(
        url="https://zenodo.org/records/11176823/files/fsdnoisy18k_index_1.0.json",
        what="md5 of 18,529 wav (three train clips short of 18,532)",
        md5="09b7c6156156b9ccef2200c37c9b2791",
        source=_SOURCE,
    )
    notes = (
        "About 60 % of the noisy labels show some label noise (the dataset's page).",
        "10 pairs of clips are byte-identical, all within the training part.",
        "680 of the 947 test sources are in FSD50K's development part and 247 in its evaluation part.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in the order of ``train.csv`` and ``test.csv``; groups are Freesound ids.

        ``noisy_split`` trains on the noisy part and validates on the clean one; ``clean_split`` trains on 85 % of the clean part
        and validates on the others, class by class, drawn once (at least one clip a class); ``fold`` deals each class of the
        clean part into ten folds.
        """
        clips = pd.concat([self._part(folder, "train"), self._part(folder, "test")], ignore_index=True)
        if (twice := clips["clip_id"].duplicated()).any():
            raise DataError(
                f"{folder / _META} lists the clip {clips['clip_id'][twice].iloc[0]} twice; fetch the dataset again."
            )
        clean = clips["split"] == "train_clean"
        clean_split = clips["split"].replace(_CLEAN_SPLIT)
        clean_split[self._held_out(clips[clean])] = "valid"
        place = clips[clean].sort_values("clip_id").groupby("label").cumcount() % _FOLDS + 1
        return clips.assign(
            noisy_split=clips["split"].replace(_NOISY_SPLIT),
            clean_split=clean_split,
            fold=place.astype(str).reindex(clips.index, fill_value="none"),
            clean=clean,
            clean_or_test=clips["split"] != "train_noisy",
        )

    def _held_out(self, clean: pd.DataFrame) -> pd.Index:
        """Rows of the clean part that validate when it trains."""
        shuffled = clean.sort_values("clip_id").sample(frac=1, random_state=numpy_stream(0, self.id, "clean_split"))
        place = shuffled.groupby("label").cumcount()
        wanted = (_CLEAN_VALID * shuffled.groupby("label")["label"].transform("size")).round().clip(lower=1)
        return shuffled.index[place < wanted]

    def _part(self, folder: Path, part: str) -> pd.DataFrame:
        file = folder / _META / f"{part}.csv"
        table = read_metadata(file, ("fname", "label", "manually_verified"))
        check_labels(table["label"], CLASSES, file)
        check_labels(table["manually_verified"], ("0", "1"), file)
        audio = f"FSDnoisy18k.audio_{part}"
        paths = audio + "/" + table["fname"]
        match_audio(folder, paths, audio)
        source = table["fname"].str.removesuffix(".wav")
        verified = table["manually_verified"] == "1"
        return pd.DataFrame(
            {
                "clip_id": source,
                "path": paths,
                "group": "freesound:" + source,
                "split": np.where(verified, "train_clean", "train_noisy") if part == "train" else "test",
                "label": table["label"],
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """All 20 classes; a third of the noisy part's labels are wrong."""
        (folder / _META).mkdir()
        kinds = sound_kinds(len(CLASSES))
        sources = iter(numpy_stream(seed, self.id, "sources").permutation(np.arange(100_000, 130_000)).tolist())
        tables: dict[str, list[list[object]]] = {"train": [], "test": []}
        for part in tables:
            (folder / f"FSDnoisy18k.audio_{part}").mkdir()
        for split, clips in _STANDIN_CLIPS.items():
            part = split.split("_")[0]
            for target in [target for target in range(len(CLASSES)) for _ in range(clips)]:
                source = next(sources)
                generator = numpy_stream(seed, self.id, source)
                wrong = split == "train_noisy" and generator.uniform() < _STANDIN_WRONG
                sounding = int(generator.integers(len(CLASSES))) if wrong else target
                samples = int(generator.uniform(0.4, 0.8) * _RATE)
                clip = sound_clip(generator, kinds[sounding][None], samples, _RATE, spread=0.04)
                write_wav(folder / f"FSDnoisy18k.audio_{part}" / f"{source}.wav", clip, _RATE)
                row = [f"{source}.wav", CLASSES[target], "/m/standin", int(split != "train_noisy"), int(wrong)]
                tables[part].append(row[: 5 if part == "train" else 4])
        for part, rows in tables.items():
            columns = ["fname", "label", "aso_id", "manually_verified", "noisy_small"][: 5 if part == "train" else 4]
            pd.DataFrame(rows, columns=columns).sort_values("fname").to_csv(folder / _META / f"{part}.csv", index=False)


DATASET = FsdNoisy18k()
