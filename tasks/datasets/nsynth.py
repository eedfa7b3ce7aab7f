"""NSynth: 305,979 four-second notes of 1,006 instruments (Engel et al. 2017)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    match_audio,
    numpy_stream,
    place_in_noise,
    shuffled,
    synthesise_note,
    timbres,
    write_wav,
)

FAMILIES = (
    *("bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string", "synth_lead", "vocal"),
)
"""In the order of the official ``instrument_family``."""

SOURCES = ("acoustic", "electronic", "synthetic")
"""In the order of the official ``instrument_source``."""

_SPLITS = ("train", "valid", "test")
_NOTE = re.compile(r"(([a-z_]+)_(acoustic|electronic|synthetic)_\d{3})-(\d{3})-\d{3}")
_SITE = "http://download.magenta.tensorflow.org/datasets/nsynth"
_RATE = 16_000
_STANDIN_PITCHES = (52, 53, 54, 55, 56, 57, 58, 59)
_STANDIN_INSTRUMENTS = {"train": 8, "valid": 2, "test": 3}  # of each family, with one note each


def _archive(split: str, md5: str, source: str, size: int | None = None, sha256: str | None = None) -> Archive:
    return Archive(
        file=f"nsynth-{split}.jsonwav.tar.gz",
        url=f"{_SITE}/nsynth-{split}.jsonwav.tar.gz",
        bytes=size,
        md5=md5,
        sha256=sha256,
        source=source,
        into="nsynth",
        holds=(f"nsynth-{split}/**",),
    )


class NSynth(Dataset):
    """``nsynth-{split}/examples.json`` and ``nsynth-{split}/audio/{instrument}-{pitch}-{velocity}.wav``."""

    id = "nsynth"
    title = "NSynth"
    homepage = "https://magenta.tensorflow.org/datasets/nsynth"
    licence = "CC BY 4.0"
    citation = "J. Engel et al. Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders. ICML 2017."
    archives = (
        _archive(
            "train",
            "fde6665a93865503ba598b9fac388660",
            "md5: hear-preprocess nsynth_pitch.py; bytes, sha256: one public report",
            23_815_298_079,
            "15c5100fc40c3a262f9b42707c15ffed30b8fec58c0d9b88d4136f6cb1fddefe",
        ),
        _archive("valid", "87e94a00a19b6dbc99cf6d4c0c0cae87", "hear-preprocess nsynth_pitch.py"),
        _archive("test", "5e6f8719bf7e16ad0a00d518b78af77d", "hear-preprocess nsynth_pitch.py"),
    )
    folder = "nsynth"
    labels = {"pitch": tuple(str(pitch) for pitch in range(128)), "family": FAMILIES}  # noqa: RUF012
    sparse_labels = frozenset({"pitch"})
    expected_clips = 305_979
    expected_splits = {"train": 289_205, "valid": 12_678, "test": 4_096}  # noqa: RUF012
    notes = (
        "Split sizes as on the dataset card of jg583/NSynth; the total is asserted in EVAR's make_metadata.py.",
        "Pitch is a MIDI number, of which the data is said to use 112 of 128.",
        "synth_lead is said to have notes in the training part only (from memory, unverified).",
        "Instruments do not straddle training and the other parts; valid and test are divided by the official lists.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in a hashed order, that tells no label; groups are instruments."""
        clips = pd.concat([_read_split(folder, split) for split in _SPLITS], ignore_index=True)
        return clips.set_index("path", drop=False).loc[shuffled(clips["path"])].reset_index(drop=True)

    def write_standin(self, folder: Path, seed: int) -> None:
        """Thirteen instruments a family with a note each; its pitch is one of eight, a semitone apart."""
        kinds = timbres(len(FAMILIES))
        instruments = iter(numpy_stream(seed, self.id, "instruments").permutation(1_000).tolist())
        for split in _SPLITS:
            (folder / f"nsynth-{split}" / "audio").mkdir(parents=True)
            examples = {}
            for family in range(len(FAMILIES)):
                for _ in range(_STANDIN_INSTRUMENTS[split]):
                    note = _write_note(
                        folder / f"nsynth-{split}" / "audio", seed, next(instruments), family, kinds[family]
                    )
                    examples[note["note_str"]] = note
            (folder / f"nsynth-{split}" / "examples.json").write_text(json.dumps(examples, indent=1), encoding="utf-8")


def _read_split(folder: Path, split: str) -> pd.DataFrame:
    file = folder / f"nsynth-{split}" / "examples.json"
    rows = []
    for name, note in _examples(file).items():
        match = _NOTE.fullmatch(name)
        if match is None or not _agrees(match, note):
            raise DataError(f"{file} contradicts itself about {name}; fetch the dataset again.")
        path = f"nsynth-{split}/audio/{name}.wav"
        rows.append((f"{split}/{name}", path, f"nsynth:{match[1]}", split, str(note["pitch"]), match[2]))
    clips = pd.DataFrame(rows, columns=["clip_id", "path", "group", "split", "pitch", "family"])
    match_audio(folder, clips["path"], f"nsynth-{split}/audio")
    return clips


def _examples(file: Path) -> dict[str, dict[str, Any]]:
    try:
        examples = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{file} does not exist; the data folder is incomplete, fetch the dataset again.") from error
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); fetch the dataset again.") from error
    except ValueError as error:
        raise DataError(f"{file} is not readable JSON; fetch the dataset again.") from error
    if not isinstance(examples, dict) or not examples or not all(isinstance(note, dict) for note in examples.values()):
        raise DataError(f"{file} lists no notes; fetch the dataset again.")
    return examples


def _agrees(match: re.Match[str], note: dict[str, Any]) -> bool:
    """Whether a note's name says what its entry says."""
    family, pitch = note.get("instrument_family"), note.get("pitch")
    return (
        isinstance(family, int)
        and 0 <= family < len(FAMILIES)
        and FAMILIES[family] == match[2] == note.get("instrument_family_str")
        and isinstance(pitch, int)
        and 0 <= pitch < 128
        and pitch == int(match[4])
    )


def _write_note(
    folder: Path, seed: int, number: int, family: int, kind: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> dict[str, Any]:
    """Write one note of a new instrument and return its entry in ``examples.json``."""
    generator = numpy_stream(seed, "nsynth", number)
    pitch = int(generator.permutation(_STANDIN_PITCHES)[0])
    source = int(generator.integers(len(SOURCES)))
    instrument = f"{FAMILIES[family]}_{SOURCES[source]}_{number:03d}"
    velocity = int(generator.choice([25, 50, 75, 100, 127]))
    name = f"{instrument}-{pitch:03d}-{velocity:03d}"
    timbre = np.clip(kind + 0.05 * generator.standard_normal(len(kind)), 0, 1)
    samples = int(generator.uniform(0.6, 1) * _RATE)
    wave = synthesise_note(generator, pitch + 0.3 * generator.standard_normal(), timbre, samples, _RATE)
    write_wav(folder / f"{name}.wav", place_in_noise(generator, wave, _RATE, _RATE), _RATE)
    return {
        "note": number,
        "note_str": name,
        "instrument": number,
        "instrument_str": instrument,
        "pitch": pitch,
        "velocity": velocity,
        "sample_rate": _RATE,
        "qualities": [0] * 10,
        "qualities_str": [],
        "instrument_family": family,
        "instrument_family_str": FAMILIES[family],
        "instrument_source": source,
        "instrument_source_str": SOURCES[source],
    }


DATASET = NSynth()
