"""What the urban acoustic scenes of DCASE 2018 and 2019 (task 1a) share: layout, reader and stand-in."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    check_labels,
    match_audio,
    numpy_stream,
    read_metadata,
    sound_clip,
    sound_kinds,
    write_wav,
)

CLASSES = (
    *("airport", "bus", "metro", "metro_station", "park"),
    *("public_square", "shopping_mall", "street_pedestrian", "street_traffic", "tram"),
)

_META = "meta.csv"
_COLUMNS = ("filename", "scene_label", "identifier", "source_label")
_SETUP = "evaluation_setup"
_RATE = 48_000
_STANDIN_LOCATIONS = {"train": ("barcelona", "helsinki", "london"), "test": ("milan", "paris"), "unused": ("milan",)}


def archives(folder: str, record: int, source: str, *files: tuple[str, int, str]) -> tuple[Archive, ...]:
    """The development set's archives on Zenodo: (what comes between ``{folder}.`` and ``.zip``, bytes, md5) each.

    The real archives continue each other file by file. Stand-ins spread their scenes over them, and leave some empty.
    """
    audio = [name for name, _, _ in files if name.startswith("audio.")]
    first = {audio[number * len(audio) // len(CLASSES)]: scene for number, scene in enumerate(CLASSES)}

    def holds(name: str) -> tuple[str, ...]:
        if name == "meta":
            return (_META, f"{_SETUP}/*")
        return (f"audio/{first[name]}-*",) if name in first else ()

    return tuple(
        Archive(
            file=f"{folder}.{name}.zip",
            url=f"https://zenodo.org/record/{record}/files/{folder}.{name}.zip",
            bytes=size,
            md5=md5,
            source=source,
            zenodo=record,
            holds=holds(name),
        )
        for name, size, md5 in files
    )


class UrbanScenes(Dataset):
    """``meta.csv`` and one official fold, both separated by tabs; groups are recording locations (``identifier``).

    Locations have one namespace, ``tut``, since the later set re-uses recordings of the earlier one.
    """

    labels = {"scene": CLASSES}  # noqa: RUF012 (a ClassVar of the base)
    lists: ClassVar[str] = "csv"
    """Suffix of the fold's lists; those that end in ``csv`` have a header."""

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in the order of ``meta.csv``; ``split`` is ``unused`` for what the fold's lists leave out."""
        meta = read_metadata(folder / _META, _COLUMNS, separator="\t")
        check_labels(meta["scene_label"], CLASSES, folder / _META)
        name = meta["filename"].str.removeprefix("audio/").str.removesuffix(".wav")
        if (wrong := name.str.partition("-")[0] != meta["scene_label"]).any():
            raise DataError(
                f"{folder / _META} contradicts itself about {meta['filename'][wrong].iloc[0]}; fetch the dataset again."
            )
        match_audio(folder, meta["filename"], "audio")
        return pd.DataFrame(
            {
                "clip_id": name,
                "path": meta["filename"],
                "group": "tut:" + meta["identifier"].str.replace(r"\s", "_", regex=True),
                "split": self._split(folder, meta),
                "scene": meta["scene_label"],
            }
        )

    def _split(self, folder: Path, meta: pd.DataFrame) -> pd.Series[str]:
        """The part of the official fold that each row of ``meta`` is in."""
        scenes = meta.set_index("filename")["scene_label"]
        split = pd.Series("unused", scenes.index)
        for part, name in {"train": "train", "test": "evaluate"}.items():
            file = folder / _SETUP / f"fold1_{name}.{self.lists}"
            listed = read_metadata(file, _COLUMNS[:2], separator="\t", header=self.lists == "csv")
            found = scenes.reindex(listed["filename"])
            if (wrong := found.to_numpy() != listed["scene_label"].to_numpy()).any():
                raise DataError(
                    f"{file} contradicts {_META} about {listed['filename'][wrong].iloc[0]}; fetch the dataset again."
                )
            if (split[found.index] != "unused").any() or found.index.has_duplicates:
                raise DataError(f"{file} lists a clip twice, or one of another part; fetch the dataset again.")
            split[found.index] = part
        return split.reset_index(drop=True)

    def write_standin(self, folder: Path, seed: int) -> None:
        """Ten scenes at three training and two test locations, two 24-bit stereo segments each."""
        (folder / "audio").mkdir()
        (folder / _SETUP).mkdir()
        kinds = sound_kinds(len(CLASSES))
        shuffle = numpy_stream(seed, self.id, "order")
        locations = iter(shuffle.permutation(len(CLASSES) * 6).tolist())
        rows = []
        for part, cities in _STANDIN_LOCATIONS.items():
            if part not in self.expected_splits:
                continue
            for city in cities:
                for scene, kind in enumerate(kinds):
                    location = next(locations)
                    rows += [self._write(folder, seed, kind, scene, city, location, n, part) for n in range(2)]
        table = pd.DataFrame(rows, columns=[*_COLUMNS, "part"]).iloc[shuffle.permutation(len(rows))]
        table[list(_COLUMNS)].to_csv(folder / _META, sep="\t", index=False)
        header = self.lists == "csv"
        for part, names in {"train": ("train",), "test": ("test", "evaluate")}.items():
            for name in names:
                columns = ["filename"] if name == "test" else ["filename", "scene_label"]
                own = table.loc[table["part"] == part, columns]
                own.to_csv(folder / _SETUP / f"fold1_{name}.{self.lists}", sep="\t", index=False, header=header)

    def _write(
        self,
        folder: Path,
        seed: int,
        kind: np.ndarray[tuple[int], np.dtype[np.float64]],
        scene: int,
        city: str,
        location: int,
        segment: int,
        part: str,
    ) -> list[str]:
        """Write one segment and return its row; its sound lies near its location's."""
        of_location = numpy_stream(seed, self.id, city, location)
        place = np.clip(kind + 0.1 * of_location.standard_normal(kind.shape), 0, 1)
        name = f"audio/{CLASSES[scene]}-{city}-{location}-{segment}-a.wav"
        generator = numpy_stream(seed, self.id, name)
        clip = sound_clip(generator, place[None], int(generator.uniform(0.4, 0.6) * _RATE), _RATE, spread=0.05)
        write_wav(folder / name, np.stack([clip, np.roll(clip, 16)], axis=1), _RATE, "PCM_24")
        return [name, CLASSES[scene], f"{city}-{location}", "a", part]
