"""MagnaTagATune: 25,863 music clips of 29 s with tags from a game (Law et al. 2009); the 50 most frequent are used."""

from __future__ import annotations

from itertools import compress
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    match_audio,
    numpy_stream,
    read_metadata,
    sound_clip,
    sound_kinds,
    write_audio,
)

TAGS = (
    *("guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano"),
    *("ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing"),
    *("vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop"),
    *("soft", "sitar", "solo", "man", "classic", "choir", "voice", "new age", "dance", "male voice"),
    *("female vocal", "beats", "harp", "cello", "no voice", "weird", "country", "metal", "female voice", "choral"),
)
"""The 50 most frequent of 188 tags, by frequency: the order of the usual public lists."""

SPLITS = {**dict.fromkeys("0123456789ab", "train"), "c": "valid", **dict.fromkeys("def", "test")}
"""The conventional 12:1:3 split by folder."""

_ANNOTATIONS = "annotations_final.csv"
_INFO = "clip_info_final.csv"
_PATH = r"([0-9a-f])/(\S+)-\d+-\d+\.mp3"
_SOURCE = "Spijkervet/CLMR@4230843 clmr/datasets/magnatagatune.py (no checksums) and many public scripts"
_RATE = 16_000
_STANDIN_TAGS = ("guitar", "techno", "piano", "violin", "opera", "flute")
_STANDIN_CLIPS = 6  # of each folder


def _archive(file: str, part_of: str = "", *holds: str) -> Archive:
    return Archive(
        file=file,
        url=f"https://mirg.city.ac.uk/datasets/magnatagatune/{file}",
        source=_SOURCE,
        note=f"older host: http://mi.soi.city.ac.uk/datasets/magnatagatune/{file}",
        part_of=part_of,
        into="magnatagatune",
        holds=holds,
    )


class MagnaTagATune(Dataset):
    """Sixteen folders of MP3 and a table of tags, separated by tabs; file names give artist, album, track and times."""

    id = "magnatagatune"
    title = "MagnaTagATune"
    homepage = "https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset"
    licence = "CC BY-NC-SA 3.0 (tagatune.org)"
    citation = (
        "E. Law, K. West, M. Mandel, M. Bay, J. S. Downie. Evaluation of Algorithms Using Games: The Case of Music "
        "Tagging. ISMIR 2009, 387-392."
    )
    archives = (
        *(_archive(f"mp3.zip.00{number}", "mp3.zip", "[0-9a-f]/*.mp3") for number in (1, 2, 3)),
        _archive(_ANNOTATIONS, "", _ANNOTATIONS),
        _archive(_INFO, "", _INFO),
    )
    folder = "magnatagatune"
    labels = {}  # noqa: RUF012 (a ClassVar of the base)
    multi_labels = {"tags": TAGS}  # noqa: RUF012
    expected_clips = 25_863
    expected_splits = {"train": 18_709, "valid": 1_825, "test": 5_329}  # noqa: RUF012
    known_bad = {  # noqa: RUF012
        "6/norine_braun-now_and_zen-08-gently-117-146.mp3": "empty file as published",
        "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233.mp3": (
            "empty file as published"
        ),
        "9/american_baroque-dances_and_suites_of_rameau_and_couperin-25-"
        "le_petit_rien_xiveme_ordre_couperin-88-117.mp3": "empty file as published",
    }
    notes = (
        "There is no official split; convention: folders 0 to b train, c validates, d to f test, clips with at least one of "
        "the 50 most frequent tags (`tagged`).",
        "Clips of the split: 1,825 and 5,329 counted in jordipons/musicnn-training@c7aa67b, 18,709 by difference; with a tag "
        "and at least 29.1 s long, 15,244, 1,529 and 4,332 (jongpillee/music_dataset_split@07e8557, counted).",
        "srivastava2022 states 15,247 training clips: probably no filter by length (a guess).",
        "Tags of the same meaning are counted apart (no vocal, no vocals, no voice), as everywhere.",
        "Clips of one track are one group: 25,863 clips from 5,405 tracks by 230 artists.",
        "Byte splits: mp3.zip.001 to .003 are joined as they are.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in the order of ``annotations_final.csv``; groups are tracks."""
        file = folder / _ANNOTATIONS
        table = read_metadata(file, ("clip_id", *TAGS, "mp3_path"), separator="\t")
        parts = table["mp3_path"].str.extract(rf"^{_PATH}$")
        if (wrong := parts[0].isna()).any():
            raise DataError(
                f"{file} has the path {table['mp3_path'][wrong].iloc[0]!r}, which is not "
                "{0-9,a-f}/{artist}-{album}-{track}-{title}-{start}-{end}.mp3; fetch the dataset again."
            )
        if (twice := table["clip_id"].duplicated()).any():
            raise DataError(f"{file} lists the clip {table['clip_id'][twice].iloc[0]} twice; fetch the dataset again.")
        marks = table[list(TAGS)].to_numpy()
        if not np.isin(marks.astype(str), ("0", "1")).all():
            raise DataError(f"{file} marks a tag with something other than 0 and 1; fetch the dataset again.")
        for letter in sorted(SPLITS):
            match_audio(folder, table["mp3_path"][parts[0] == letter], letter, ".mp3")
        tagged = marks == "1"
        return pd.DataFrame(
            {
                "clip_id": table["clip_id"],
                "path": table["mp3_path"],
                "group": "mtt:" + parts[1],
                "split": parts[0].map(SPLITS),
                "tags": ["|".join(compress(TAGS, row)) for row in tagged],
                "tagged": tagged.any(axis=1),
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """A few MP3 in every folder, one or two sounds each, some without a tag, and one of the empty files."""
        kinds = sound_kinds(len(_STANDIN_TAGS))
        numbers = iter(numpy_stream(seed, self.id, "numbers").permutation(np.arange(2, 60_000)).tolist())
        rows: list[dict[str, object]] = []
        for letter in SPLITS:
            (folder / letter).mkdir()
            for _ in range(_STANDIN_CLIPS):
                number = next(numbers)
                generator = numpy_stream(seed, self.id, number)
                heard = generator.permutation(len(kinds))[: 1 + int(generator.uniform() < 0.4)]
                path = f"{letter}/artist_{number % 7}-album_{number % 3}-{number % 20:02d}-song_{number}-30-59.mp3"
                clip = sound_clip(generator, kinds[heard], int(generator.uniform(0.6, 1) * _RATE), _RATE)
                write_audio(folder / path, clip, _RATE)
                tags = {_STANDIN_TAGS[kind] for kind in heard} if generator.uniform() < 0.95 else {"bongos"}
                rows.append(
                    {"clip_id": number, **{tag: int(tag in tags) for tag in (*TAGS, "bongos")}, "mp3_path": path}
                )
        empty = next(iter(self.known_bad))
        (folder / empty).touch()
        rows.append({"clip_id": 35_644_000, **dict.fromkeys((*TAGS, "bongos"), 0), "mp3_path": empty})
        table = pd.DataFrame(rows).sort_values("clip_id")
        table.to_csv(folder / _ANNOTATIONS, sep="\t", index=False, quoting=1)
        table[["clip_id", "mp3_path"]].to_csv(folder / _INFO, sep="\t", index=False)


DATASET = MagnaTagATune()
