"""What the two releases of Speech Commands share: layout, split rule and stand-in (Warden 2018)."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import ClassVar

import pandas as pd

from benchmark import (
    DataError,
    Dataset,
    audio_files,
    draw_voice,
    numpy_stream,
    place_in_noise,
    read_lines,
    shuffled,
    synthesise_noise,
    synthesise_word,
    words,
    write_wav,
)

CORE = (
    *("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"),
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
)
AUXILIARY = ("bed", "bird", "cat", "dog", "happy", "house", "marvin", "sheila", "tree", "wow")

NOISE = "_background_noise_"
"""Folder of long recordings of noise to mix in or cut silence from; they are no clips of the 30- and 35-word tasks."""

_LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}
_NAME = re.compile(r"([a-z]+)/([0-9a-f]+)_nohash_(\d+)\.wav")
_MAX_WAVS = 2**27 - 1  # MAX_NUM_WAVS_PER_CLASS of the README's which_set
_RATE = 16_000
_STANDIN_SPEAKERS = {"train": 8, "valid": 2, "test": 4}
_STANDIN_WORDS = 8


def which_set(speaker: str) -> str:
    """``train``, ``valid`` or ``test`` by the README's ``which_set``: 80, 10 and 10 % by a hash of the speaker's id."""
    digest = int(hashlib.sha1(speaker.encode(), usedforsecurity=False).hexdigest(), 16)
    percentage = digest % (_MAX_WAVS + 1) * (100 / _MAX_WAVS)
    return "valid" if percentage < 10 else "test" if percentage < 20 else "train"


class SpeechCommands(Dataset):
    """``{word}/{speaker}_nohash_{take}.wav``; the lists, where they are, must agree with the hash rule."""

    words: ClassVar[tuple[str, ...]]

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in a hashed order, that tells no label; groups are speakers, in one namespace for both releases.

        Raises:
            DataError: see the base; also where a list contradicts the rule, or lists a file that is not there.
        """
        paths = shuffled(path for path in audio_files(folder, "") if not path.startswith(f"{NOISE}/"))
        matches = [_NAME.fullmatch(path) for path in paths]
        for path, match in zip(paths, matches, strict=True):
            if match is None or match[1] not in self.words:
                raise DataError(
                    f"{folder / path} is not {{word}}/{{speaker}}_nohash_{{take}}.wav with one of the {len(self.words)} "
                    "words; remove it or fetch the dataset again."
                )
        if not paths:
            raise DataError(
                f"{folder / self.words[0]} does not exist; the data folder is incomplete, fetch the dataset again."
            )
        found = [match for match in matches if match is not None]
        clips = pd.DataFrame(
            {
                "clip_id": [path.removesuffix(".wav") for path in paths],
                "path": paths,
                "group": [f"speechcommands:{match[2]}" for match in found],
                "split": [which_set(match[2]) for match in found],
                "word": [match[1] for match in found],
            }
        )
        for split, name in _LISTS.items():
            _check_list(folder / name, split, set(clips.loc[clips["split"] == split, "path"]))
        return clips

    def write_standin(self, folder: Path, seed: int) -> None:
        """Eight of the words by fourteen speakers, whose ids fall into the parts by the rule; two recordings of noise."""
        speakers = _speakers(seed)
        targets = words(len(self.words))
        for word in self.standin_classes["word"]:
            (folder / word).mkdir()
            for speaker in speakers:
                voice = draw_voice(numpy_stream(seed, "speech commands", speaker))
                generator = numpy_stream(seed, self.id, word, speaker)
                length = int(generator.uniform(0.3, 0.48) * _RATE)
                samples = int(generator.choice([1, 1, 1, generator.uniform(0.5, 0.99)]) * _RATE)
                wave = synthesise_word(generator, voice, targets[self.words.index(word)], length, _RATE)
                clip = place_in_noise(generator, wave, samples, _RATE)
                write_wav(folder / word / f"{speaker}_nohash_{generator.integers(3)}.wav", clip, _RATE)
        (folder / NOISE).mkdir()
        for name in ("running_tap", "white_noise"):
            write_wav(
                folder / NOISE / f"{name}.wav", synthesise_noise(numpy_stream(seed, name), 2 * _RATE, _RATE), _RATE
            )
        paths = audio_files(folder, "")
        for split, name in _LISTS.items():
            listed = [path for path in paths if (match := _NAME.fullmatch(path)) and which_set(match[2]) == split]
            (folder / name).write_text("".join(f"{path}\n" for path in listed), encoding="utf-8")


def _check_list(file: Path, split: str, paths: set[str]) -> None:
    if not file.exists():
        return
    listed = set(read_lines(file))
    if missing := sorted(listed - paths):
        raise DataError(
            f"{file} lists {missing[0]}, which is not there or not a {split} clip by the hash rule; fetch again."
        )
    if extra := sorted(paths - listed):
        raise DataError(f"{file} does not list {extra[0]}, a {split} clip by the hash rule; fetch the dataset again.")


def _speakers(seed: int) -> list[str]:
    """Speaker ids for the stand-in: the first of a random sequence that fill each part."""
    generator = numpy_stream(seed, "speech commands", "speakers")
    left, chosen = dict(_STANDIN_SPEAKERS), []
    while any(left.values()):
        speaker = f"{generator.integers(2**32):08x}"
        if left[which_set(speaker)]:
            left[which_set(speaker)] -= 1
            chosen.append(speaker)
    return chosen
