"""UrbanSound8K: 8,732 slices of up to 4 s from Freesound recordings in 10 classes (Salamon et al. 2014)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    FileChecksums,
    draw_recording,
    match_audio,
    numpy_stream,
    place_in_noise,
    read_metadata,
    sound_kinds,
    synthesise_sound,
    write_wav,
)

CLASSES = (
    *("air_conditioner", "car_horn", "children_playing", "dog_bark", "drilling"),
    *("engine_idling", "gun_shot", "jackhammer", "siren", "street_music"),
)
"""In the order of the official ``classID``."""

_METADATA = "metadata/UrbanSound8K.csv"
_COLUMNS = ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")
_SLICES = (2, 1)  # of the two stand-in sources of each class and fold
_FORMATS = (
    ("PCM_16", 44_100, 2),
    ("PCM_24", 48_000, 2),
    ("PCM_16", 44_100, 1),
    ("FLOAT", 44_100, 1),
    ("PCM_16", 22_050, 1),
    ("MS_ADPCM", 32_000, 1),
    ("ULAW", 16_000, 1),
)
"""Encoding, sample rate and channels: as mixed as the uploads of the real set."""


class UrbanSound8K(Dataset):
    """UrbanSound8K in its official layout; a metadata file that lists some of the folds is read as those."""

    id = "urbansound8k"
    title = "UrbanSound8K"
    homepage = "https://urbansounddataset.weebly.com/urbansound8k.html"
    licence = "CC BY-NC 3.0 (README; soundata says 4.0)"
    citation = (
        "J. Salamon, C. Jacoby, J. P. Bello. A Dataset and Taxonomy for Urban Sound Research. ACM Multimedia 2014."
    )
    archives = (
        Archive(
            file="UrbanSound8K.tar.gz",
            url="https://zenodo.org/record/1203745/files/UrbanSound8K.tar.gz?download=1",
            bytes=6_023_741_708,
            md5="9aa69802bbf37fb986f71ec1483a196e",
            source="soundata soundata/datasets/urbansound8k.py; PaddlePaddle urban_sound.py; bytes: 4 public scripts",
            zenodo=1_203_745,
        ),
    )
    folder = "UrbanSound8K"
    labels = {"class": CLASSES}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = 8_732
    expected_splits = dict(  # noqa: RUF012
        zip(map(str, range(1, 11)), (873, 888, 925, 990, 936, 823, 838, 806, 816, 837), strict=True)
    )
    file_checksums = FileChecksums(
        url="https://zenodo.org/records/11176928/files/urbansound8k_index_1.0.json",
        what="md5 of each of the 8732 wav",
        md5="1c4940e08c1305c49b592f3d9c103e6f",
        source="soundata soundata/datasets/urbansound8k.py (read 009ec15e; PyPI soundata 0.1.3)",
    )
    notes = (
        "Five Freesound ids sit in two folds: 106905 (1, 8), 132016 (1, 4), 176638 (1, 4), 180937 (1, 9), 77751 (2, 7).",
        "Encoding, sample rate and channels differ by file; slices last from 0.05 s.",
        "877 clips (334 sources) share a Freesound id with FSD50K's development part, 341 (105) with its evaluation part "
        "(measured).",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in the order of ``metadata/UrbanSound8K.csv``; groups are Freesound ids (``fsID``)."""
        table = read_metadata(folder / _METADATA, _COLUMNS)
        for name, source, target, category in table[["slice_file_name", "fsID", "classID", "class"]].itertuples(
            index=False
        ):
            known = target.isdecimal() and int(target) < len(CLASSES) and CLASSES[int(target)] == category
            if not known or name.split("-")[:2] != [source, target]:
                raise DataError(f"{folder / _METADATA} contradicts itself about {name}; fetch the dataset again.")
        clips = pd.DataFrame(
            {
                "clip_id": table["slice_file_name"].str.removesuffix(".wav"),
                "path": "audio/fold" + table["fold"] + "/" + table["slice_file_name"],
                "group": "freesound:" + table["fsID"],
                "fold": table["fold"],
                "class": table["class"],
            }
        )
        match_audio(folder, clips["path"], "audio")
        return clips

    def write_standin(self, folder: Path, seed: int) -> None:
        """Ten folds with three slices, from two sources, of each class.

        As in the real set a source sits in two folds (there: five), and a few source ids are ESC-50's too, because both
        stand-ins draw them from one range.
        """
        (folder / "metadata").mkdir()
        identifiers = iter(numpy_stream(seed, self.id, "sources").permutation(np.arange(100_000, 130_000)).tolist())
        kinds = sound_kinds(len(CLASSES))
        rows = []
        for fold in range(1, 11):
            (folder / "audio" / f"fold{fold}").mkdir(parents=True)
            for target in range(len(CLASSES)):
                for slices in _SLICES:
                    source = next(identifiers)
                    for number in range(slices):
                        rows.append(_write_slice(folder, seed, fold, target, source, number, kinds[target]))
                    if fold == 1 and target == 3 and slices == 1:
                        straddling = source
            if fold == 2:
                rows.append(_write_slice(folder, seed, fold, 3, straddling, 1, kinds[3]))
        table = pd.DataFrame(rows, columns=list(_COLUMNS)).sort_values("slice_file_name")
        table.to_csv(folder / _METADATA, index=False)


def _write_slice(
    folder: Path,
    seed: int,
    fold: int,
    target: int,
    source: int,
    number: int,
    kind: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> list[object]:
    """Write one slice of a source and return its metadata row. The format is the source's, the length the slice's."""
    of_source = numpy_stream(seed, "urbansound8k", source)
    qualities = draw_recording(of_source, kind)
    subtype, rate, channels = _FORMATS[of_source.integers(len(_FORMATS))]
    generator = numpy_stream(seed, "urbansound8k", source, number)
    samples = int(rate * min(3.9, generator.uniform(0.3, 5)))
    wave = synthesise_sound(
        generator, draw_recording(generator, qualities, spread=0.03), int(samples * generator.uniform(0.6, 1)), rate
    )
    clip = place_in_noise(generator, wave, samples, rate)
    audio = np.stack([clip * pan for pan in (1.0, 0.7)[:channels]], axis=1)
    name = f"{source}-{target}-0-{number}.wav"
    write_wav(folder / "audio" / f"fold{fold}" / name, audio, rate, subtype)
    start = 10.0 * number
    return [name, source, start, round(start + samples / rate, 6), 1, fold, target, CLASSES[target]]


DATASET = UrbanSound8K()
