"""GTZAN genre collection: a thousand excerpts of 30 s in ten genres (Tzanetakis and Cook 2002)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    FileChecksums,
    audio_files,
    numpy_stream,
    sound_clip,
    sound_kinds,
    write_wav,
)

CLASSES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")

DUPLICATES = (
    *(("disco.00098", "disco.00099"), ("hiphop.00039", "hiphop.00045"), ("hiphop.00076", "hiphop.00078")),
    *(("reggae.00081", "reggae.00082"), ("pop.00054", "pop.00060"), ("pop.00067", "pop.00071")),
    *(("metal.00034", "metal.00094"), ("metal.00040", "metal.00061"), ("metal.00041", "metal.00062")),
    *(("metal.00042", "metal.00063"), ("metal.00043", "metal.00064"), ("metal.00044", "metal.00065")),
    *(("metal.00045", "metal.00066"), ("rock.00016", "metal.00058")),
)
"""Byte-identical files, by mirdata's md5 index; the last pair is in two genres."""

FILTERED = Path(__file__).parent / "lists" / "gtzan_filtered.csv"
"""The fault-filtered, artist-disjoint lists of coreyker/dnn-mgr (``gtzan/*_filtered.txt``), as one table."""

_NAME = re.compile(rf"genres/({'|'.join(CLASSES)})/(\1\.\d{{5}})\.wav")
_RANDOM_SHARES = (0.70, 0.85)  # lin2022, 2.1: 70 % to train, 15 % to validate, 15 % to test
_RATE = 22_050
_STANDIN = {"train": 5, "valid": 2, "test": 3, "unused": 1}


class Gtzan(Dataset):
    """The folder of each genre; ``split`` is that of the fault-filtered lists, ``unused`` for what they leave out."""

    id = "gtzan"
    title = "GTZAN genre collection"
    homepage = "http://marsyas.info/"
    licence = "none stated (copyrighted music; research use)"
    citation = "G. Tzanetakis, P. Cook. Musical Genre Classification of Audio Signals. IEEE TSAP 10(5), 2002, 293-302."
    archives = (
        Archive(
            file="genres.tar.gz",
            url="http://opihi.cs.uvic.ca/sound/genres.tar.gz",
            bytes=1_225_571_541,
            md5="5b3d6dddb579ab49814ab86dba69e7c7",
            sha256="24347e0223d2ba798e0a558c4c172d9d4a19c00bb7963fe055d183dadb4ef2c6",
            source=(
                "sha256, bytes: tensorflow/datasets audio/gtzan/checksums.tsv; "
                "md5: mir-dataset-loaders/mirdata@b95bf38 gtzan_genre.py"
            ),
            note="the page at marsyas.info was reported dead in April 2022, and this host was not tried",
            into="gtzan",
        ),
    )
    folder = "gtzan"
    labels = {"genre": CLASSES}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = 1_000
    expected_splits = {"train": 443, "valid": 197, "test": 290, "unused": 70}  # noqa: RUF012
    file_checksums = FileChecksums(
        url="https://zenodo.org/records/13993311/files/gtzan_genre_index_1.0.json",
        what="md5 of each of the 1000 wav",
        md5="533ca050855f22acf2feb283d9957fe3",
        source="mirdata gtzan_genre.py",
    )
    steps = (
        "The official page is gone; where the host does not answer, take genres.tar.gz from a mirror, compare its "
        "sha256, and give it to `benchmark fetch`, or unpack it as gtzan/genres/{genre}/*.wav."
    )
    notes = (
        "There is no official split. `split` is that of the fault-filtered, artist-disjoint lists of the community, which "
        "keep one of each pair of identical files, and rock.00016 with the label rock.",
        "lin2022 uses a random 70/15/15 split and gives neither lists nor seed; `random_split` is such a split, and shares "
        "artists between its parts.",
        "14 pairs of files are byte-identical, one of them in two genres (rock.00016, metal.00058); each pair is a group.",
        "Repeated artists, wrong labels and distortions: Sturm 2013, arXiv:1306.1461 (not re-read).",
        "jazz.00054 is corrupt in the copy on Kaggle, and whole in the official archive.",
        "An unofficial copy in ten shards: https://zenodo.org/api/records/14722472/files-archive.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows by number and genre, so that a row's place tells no label."""
        rows = []
        for path in audio_files(folder, "genres"):
            match = _NAME.fullmatch(path)
            if match is None:
                raise DataError(
                    f"{folder / path} is not named genres/{{genre}}/{{genre}}.{{five digits}}.wav; "
                    "remove it or fetch the dataset again."
                )
            rows.append((match[2].rsplit(".")[-1], match[1], match[2], path))
        if not rows:
            raise DataError(f"{folder / 'genres'} holds no recording; fetch the dataset again.")
        _, genres, names, paths = zip(*sorted(rows), strict=True)
        first = {second: first for first, second in DUPLICATES}
        listed = pd.read_csv(FILTERED, index_col="file")["split"]
        clips = pd.DataFrame(
            {
                "clip_id": names,
                "path": paths,
                "group": [f"gtzan:{first.get(name, name)}" for name in names],
                "split": [listed.get(path.removeprefix("genres/"), "unused") for path in paths],
                "genre": genres,
            }
        )
        return clips.assign(random_split=_random_split(clips))

    def write_standin(self, folder: Path, seed: int) -> None:
        """Of each genre the first files of each of the lists, of about a second."""
        listed = pd.read_csv(FILTERED)
        kinds = sound_kinds(len(CLASSES))
        for genre, kind in zip(CLASSES, kinds, strict=True):
            (folder / "genres" / genre).mkdir(parents=True)
            own = listed[listed["file"].str.startswith(f"{genre}/")]
            outside = sorted({f"{genre}/{genre}.{number:05d}.wav" for number in range(100)} - set(own["file"]))
            for split, count in _STANDIN.items():
                files = own["file"][own["split"] == split].tolist() if split != "unused" else outside
                for file in files[:count]:
                    generator = numpy_stream(seed, self.id, file)
                    clip = sound_clip(generator, kind[None], int(generator.uniform(0.9, 1.1) * _RATE), _RATE)
                    write_wav(folder / "genres" / file, clip, _RATE)


def _random_split(clips: pd.DataFrame) -> list[str]:
    """``train``, ``valid`` or ``test`` of every clip: 70, 15 and 15 % of each genre, in a fixed random order."""
    split = np.empty(len(clips), dtype=object)
    for genre in CLASSES:
        rows = numpy_stream(0, "gtzan", "random split", genre).permutation(np.flatnonzero(clips["genre"] == genre))
        part = np.searchsorted(_RANDOM_SHARES, (np.arange(len(rows)) + 0.5) / max(len(rows), 1))
        split[rows] = np.array(["train", "valid", "test"], dtype=object)[part]
    return list(split)


DATASET = Gtzan()
