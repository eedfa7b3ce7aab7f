"""Spoken Language Identification: ten-second fragments of LibriVox in three languages (Oponowicz 2018, Kaggle)."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    audio_files,
    draw_voice,
    languages,
    numpy_stream,
    place_in_noise,
    shuffled,
    synthesise_babble,
    write_audio,
)

LANGUAGES = ("en", "de", "es")

_NAME = re.compile(r"(train|test)/((\w\w)_[mf]_([0-9a-f]{32})\.fragment\d+)(\.(?:speed|pitch|noise)\d+)?\.flac")
_RATE = 22_050
_STANDIN_READERS = {"train": 7, "test": 3}
_STANDIN_FRAGMENTS = 3


class SpokenLanguages(Dataset):
    """Everything is in the name: ``{part}/{language}_{sex}_{recording}.fragment{n}[.{change}{k}].flac``."""

    id = "kaggle_slid"
    title = "Spoken Language Identification"
    homepage = "https://www.kaggle.com/toponowicz/spoken-language-identification"
    licence = "not stated (its scripts MIT; LibriVox is in the public domain)"
    citation = "T. Oponowicz. Spoken Language Identification. Kaggle, 2018."
    access = "login"
    archives = (
        Archive(
            file="spoken-language-identification.zip",
            url="https://www.kaggle.com/datasets/toponowicz/spoken-language-identification",
            source="tomasz-oponowicz/spoken_language_dataset README",
            note="behind a login; neither size nor checksum is published",
            into="spoken-language-identification",
        ),
    )
    folder = "spoken-language-identification"
    labels = {"language": LANGUAGES}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = 73_620
    expected_splits = {"train": 73_080, "test": 540}  # noqa: RUF012
    steps = (
        "Log in at https://www.kaggle.com/datasets/toponowicz/spoken-language-identification, download the archive "
        "(or run `kaggle datasets download toponowicz/spoken-language-identification`) and unpack it into a folder "
        "spoken-language-identification, so that it holds train and test."
    )
    notes = (
        "Of the 73,080 training clips 2,520 are recordings (84 readers, 30 fragments each); the others are their copies at "
        "eight speeds, eight pitches and with twelve noises, made by the author. `original` tells them apart.",
        "The test part holds 90 fragments of each of 6 readers, so its clips are far from independent.",
        "Every recording has its own reader, so groups are recordings; readers cannot be compared with LibriSpeech's.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in a hashed order, that tells no label; groups are recordings, which are readers."""
        paths = shuffled([*audio_files(folder, "train", ""), *audio_files(folder, "test", "")])
        found = []
        for path in paths:
            match = _NAME.fullmatch(path)
            if match is None or match[3] not in LANGUAGES:
                raise DataError(
                    f"{folder / path} is not {{language}}_{{sex}}_{{recording}}.fragment{{n}}.flac; remove it or fetch again."
                )
            found.append(match)
        if not found:
            raise DataError(f"{folder / 'train'} holds no recording; fetch the dataset again.")
        return pd.DataFrame(
            {
                "clip_id": [path.removesuffix(".flac") for path in paths],
                "path": paths,
                "group": [f"slid:{match[4]}" for match in found],
                "split": [match[1] for match in found],
                "language": [match[3] for match in found],
                "original": [match[5] is None for match in found],
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """Ten readers a language; every training fragment once more under one of the author's changes."""
        for part, readers in _STANDIN_READERS.items():
            (folder / part).mkdir()
            for language, spoken in zip(LANGUAGES, languages(len(LANGUAGES)), strict=True):
                for number in range(readers):
                    of_reader = numpy_stream(seed, self.id, part, language, number)
                    voice, recording = draw_voice(of_reader), of_reader.bytes(16).hex()
                    for fragment in range(1, _STANDIN_FRAGMENTS + 1):
                        generator = numpy_stream(seed, self.id, recording, fragment)
                        samples = int(generator.uniform(0.9, 1.5) * _RATE)
                        wave = synthesise_babble(generator, voice, spoken, int(0.9 * samples), _RATE)
                        change = ("", ".speed3", ".noise7")[fragment - 1] if part == "train" else ""
                        name = f"{language}_{'fm'[number % 2]}_{recording}.fragment{fragment}{change}.flac"
                        write_audio(folder / part / name, place_in_noise(generator, wave, samples, _RATE), _RATE)


DATASET = SpokenLanguages()
