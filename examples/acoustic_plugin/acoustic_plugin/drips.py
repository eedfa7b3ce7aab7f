"""Drips on four surfaces: a collection that exists as a stand-in only, in the layout that a recorded one would have."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark import (
    Dataset,
    draw_recording,
    match_audio,
    numpy_stream,
    place_in_noise,
    read_metadata,
    sound_kinds,
    synthesise_sound,
    write_wav,
)

SURFACES = ("metal", "water", "wood", "glass")

_RATE = 16_000
_TAPS = 10
"""In the stand-in; each drips on every surface, and taps 0 and 1 are the official test split."""
_CLIPS = 2


class Drips(Dataset):
    """``drips.csv`` with the columns file, surface, tap and split, and ``audio/<file>``."""

    id = "drips"
    title = "Drips"
    homepage = "none: it is made up for this example"
    licence = "Apache-2.0"
    citation = "none"
    access = "user-supplied"
    steps = "There are no recordings; the stand-in is all there is."
    folder = "drips"
    labels = {"surface": SURFACES}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = len(SURFACES) * _TAPS * _CLIPS

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in the order of the table; groups are taps, heard on all surfaces."""
        table = read_metadata(folder / "drips.csv", ["file", "surface", "tap", "split"])
        paths = "audio/" + table["file"]
        match_audio(folder, paths, "audio")
        return pd.DataFrame(
            {
                "clip_id": table["file"].str.removesuffix(".wav"),
                "path": paths,
                "group": "drips:" + table["tap"],
                "split": table["split"],
                "surface": table["surface"],
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """Each surface is a kind of sound, each tap a variation of it, in noise."""
        (folder / "audio").mkdir()
        kinds = sound_kinds(len(SURFACES))
        rows = []
        for tap in range(_TAPS):
            for surface, kind in zip(SURFACES, kinds, strict=True):
                generator = numpy_stream(seed, self.id, surface, tap)
                qualities = draw_recording(generator, kind)
                for clip in range(_CLIPS):
                    samples = int(generator.uniform(1.0, 1.5) * _RATE)
                    wave = synthesise_sound(generator, qualities, int(0.8 * samples), _RATE)
                    name = f"{tap}-{surface}-{clip}.wav"
                    write_wav(folder / "audio" / name, place_in_noise(generator, wave, samples, _RATE), _RATE)
                    split = "test" if tap < 2 else "train"
                    rows.append({"file": name, "surface": surface, "tap": str(tap), "split": split})
        pd.DataFrame(rows).to_csv(folder / "drips.csv", index=False)


DATASET = Drips()
