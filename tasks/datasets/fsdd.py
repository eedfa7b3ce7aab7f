"""Free Spoken Digit Dataset: six speakers say each digit fifty times, at 8 kHz."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    audio_files,
    numpy_stream,
    place_in_noise,
    synthesise_speech,
    write_wav,
)

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
DIGITS = tuple("0123456789")

_NAME = re.compile(r"recordings/(\d)_([a-z]+)_(\d+)\.wav")
_TEST_TAKES = 5  # README: the official test set is the recordings numbered 0 to 4 inclusive
_RATE = 8_000
_STANDIN_TAKES = 10
_DIPHTHONGS = np.array(  # Hz; three resonances at the start, middle and end of each stand-in word
    [
        [[300, 2200, 2900], [450, 1500, 2500], [450, 900, 2400]],
        [[350, 800, 2300], [650, 1100, 2400], [300, 1500, 2600]],
        [[300, 1700, 2500], [320, 1200, 2300], [330, 850, 2200]],
        [[350, 1300, 1800], [300, 2000, 2600], [290, 2250, 2900]],
        [[600, 1000, 2500], [560, 880, 2450], [480, 1100, 1900]],
        [[650, 1150, 2500], [600, 1500, 2500], [380, 1950, 2600]],
        [[400, 1900, 2600], [420, 1950, 2600], [350, 1800, 2700]],
        [[560, 1750, 2500], [500, 1500, 2300], [500, 1550, 2400]],
        [[500, 1900, 2600], [400, 2100, 2700], [330, 2200, 2900]],
        [[550, 1200, 2500], [650, 1500, 2500], [330, 1900, 2600]],
    ],
    dtype=np.float64,
)


class FreeSpokenDigits(Dataset):
    """The repository's layout: everything is in the file name ``{digit}_{speaker}_{take}.wav``."""

    id = "fsdd"
    title = "Free Spoken Digit Dataset"
    homepage = "https://github.com/Jakobovski/free-spoken-digit-dataset"
    licence = "CC BY-SA 4.0"
    citation = (
        "Z. Jackson, C. Souza, J. Flaks, Y. Pan, H. Nicolas, A. Thite. Free Spoken Digit Dataset v1.0.8. Zenodo, 2018."
    )
    archives = (
        Archive(
            file="free-spoken-digit-dataset-master.zip",
            url="https://github.com/Jakobovski/free-spoken-digit-dataset/archive/26eb9aaf76e81b692f806f9140c2d2777410d7a1.zip",
            source="git commit id 26eb9aaf76e81b692f806f9140c2d2777410d7a1",
            note="built on demand by the host; the commit pins the content, and stands in the name of the archive's folder",
        ),
    )
    folder = "free-spoken-digit-dataset-master"
    labels = {"digit": DIGITS, "speaker": SPEAKERS}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = 3_000
    expected_splits = {"train": 2_700, "test": 300}  # noqa: RUF012
    notes = ("Six speakers, all in both parts of the official split.",)

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows by take, speaker and digit, so that a row's place tells no label; groups are speakers."""
        rows = []
        for path in audio_files(folder, "recordings"):
            match = _NAME.fullmatch(path)
            if match is None or match[2] not in SPEAKERS:
                raise DataError(
                    f"{folder / path} is not named {{digit}}_{{speaker}}_{{take}}.wav; remove it or fetch again."
                )
            rows.append((int(match[3]), match[2], match[1], path))
        if not rows:
            raise DataError(f"{folder / 'recordings'} holds no recording; fetch the dataset again.")
        takes, speakers, digits, paths = zip(*sorted(rows), strict=True)
        return pd.DataFrame(
            {
                "clip_id": [Path(path).stem for path in paths],
                "path": paths,
                "group": [f"fsdd:{speaker}" for speaker in speakers],
                "split": ["test" if take < _TEST_TAKES else "train" for take in takes],
                "take": [str(take) for take in takes],
                "digit": digits,
                "speaker": speakers,
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """Ten takes of each digit by six voices; lengths are drawn alike for all."""
        (folder / "recordings").mkdir()
        for number, speaker in enumerate(SPEAKERS):
            voice = numpy_stream(seed, self.id, speaker)
            pitch, scale, breath = 90 * 2 ** (number / 4), voice.uniform(0.88, 1.14), voice.uniform(0.05, 0.5)
            for digit in range(len(DIGITS)):
                accent = _DIPHTHONGS[digit] * voice.uniform(0.93, 1.07, size=(3, 3))
                for take in range(_STANDIN_TAKES):
                    generator = numpy_stream(seed, self.id, speaker, digit, take)
                    samples = int(generator.uniform(0.3, 0.9) * _RATE)
                    formants = accent * generator.uniform(0.9, 1.1, size=(3, 3))
                    own_pitch = pitch * 2 ** generator.normal(0, 0.12)
                    length = int(samples * generator.uniform(0.6, 1))
                    wave = synthesise_speech(generator, formants, breath, own_pitch, scale, length, _RATE)
                    clip = place_in_noise(generator, wave, samples, _RATE)
                    name = f"{digit}_{speaker}_{take}.wav"
                    write_wav(folder / "recordings" / name, clip, _RATE)


DATASET = FreeSpokenDigits()
