"""MUSAN: 109 hours of music, speech and noise (Snyder et al. 2015), with a split of our own."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    audio_files,
    draw_voice,
    languages,
    music_styles,
    numpy_stream,
    place_in_noise,
    read_lines,
    shuffled,
    synthesise_babble,
    synthesise_music,
    synthesise_noise,
    write_wav,
)

KINDS = ("music", "speech", "noise")

_NAME = re.compile(r"(music|speech|noise)/([\w-]+)/(\1-\2-\d{4})\.wav")
_RATE = 16_000
_STANDIN_CLIPS = 36  # of each kind


class Musan(Dataset):
    """``{kind}/{source}/{kind}-{source}-{number}.wav``; ``ANNOTATIONS`` beside music names its artist."""

    id = "musan"
    title = "MUSAN"
    homepage = "https://www.openslr.org/17"
    licence = "CC BY 4.0 as a whole; the files CC or US public domain"
    citation = "D. Snyder, G. Chen, D. Povey. MUSAN: A Music, Speech, and Noise Corpus. arXiv:1510.08484, 2015."
    archives = (
        Archive(
            file="musan.tar.gz",
            url="https://www.openslr.org/resources/17/musan.tar.gz",
            bytes=11_086_114_085,
            md5="0c472d4fc0c5141eca47ad1ffeb2a7df",
            source="md5: kiwano, WeSpeaker-style scripts, PaddleSpeech; bytes: one script",
            mirrors=(
                "https://us.openslr.org/resources/17/musan.tar.gz",
                "https://openslr.elda.org/resources/17/musan.tar.gz",
                "https://openslr.trmal.net/resources/17/musan.tar.gz",
            ),
        ),
    )
    folder = "musan"
    labels = {"kind": KINDS}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = 2_016
    notes = (
        "There is no official split, and the papers state none. Here whole files, those of one artist together, are divided "
        "by a hash of the group: 65 % train, 15 % valid, 20 % test. Crops of one file never straddle it.",
        "426 files of speech are confirmed by a public report; 660 of music and 930 of noise are from memory, unverified.",
        "42 h of music, 60 h of speech, 6 to 7 h of noise: random crops by time have another prior than random files.",
        "Speech is from LibriVox and noise from Freesound, without ids that could be compared with other sets.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in a hashed order, that tells no label; groups are artists of music, and single files of the rest."""
        paths = shuffled(path for kind in KINDS for path in audio_files(folder, kind))
        found = []
        for path in paths:
            match = _NAME.fullmatch(path)
            if match is None:
                raise DataError(
                    f"{folder / path} is not {{kind}}/{{source}}/{{kind}}-{{source}}-{{number}}.wav; remove it or fetch again."
                )
            found.append(match)
        if not found:
            raise DataError(f"{folder / KINDS[0]} holds no recording; fetch the dataset again.")
        artists = _artists(folder, sorted({match[2] for match in found if match[1] == "music"}))
        groups = [f"musan:{artists.get(match[3], match[3])}" for match in found]
        return pd.DataFrame(
            {
                "clip_id": [match[3] for match in found],
                "path": paths,
                "group": groups,
                "split": [split(group) for group in groups],
                "kind": [match[1] for match in found],
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """Thirty-six files of each kind, two sources a kind; some artists have two pieces."""
        styles, spoken = music_styles(6), languages(6)
        for kind, sources in zip(
            KINDS, (("fma", "jamendo"), ("librivox", "us-gov"), ("free-sound", "sound-bible")), strict=True
        ):
            for source in sources:
                (folder / kind / source).mkdir(parents=True)
            annotations: dict[str, list[str]] = {source: [] for source in sources}
            for number in range(_STANDIN_CLIPS):
                source = sources[number % 2]
                name = f"{kind}-{source}-{number:04d}"
                generator = numpy_stream(seed, self.id, name)
                samples = int(generator.uniform(0.6, 1.8) * _RATE)
                length = int(generator.uniform(0.5, 1) * samples)
                if kind == "music":
                    wave = synthesise_music(generator, styles[number % 6], length, _RATE)
                    annotations[source].append(f"{name} pop,folk N Artist_{number // 3}\n")
                elif kind == "speech":
                    wave = synthesise_babble(generator, draw_voice(generator), spoken[number % 6], length, _RATE)
                    annotations[source].append(f"{name} f english\n")
                else:
                    wave = synthesise_noise(generator, length, _RATE)
                if kind != "noise":
                    wave = wave + np.float32(generator.uniform(0.2, 1)) * synthesise_noise(generator, length, _RATE)
                clip = place_in_noise(generator, wave, samples, _RATE)
                write_wav(folder / kind / source / f"{name}.wav", clip, _RATE)
            for source, lines in annotations.items():
                if lines:
                    (folder / kind / source / "ANNOTATIONS").write_text("".join(lines), encoding="utf-8")


def split(group: str) -> str:
    """Part of a group: a pure function of its name."""
    bucket = int(hashlib.sha1(group.encode(), usedforsecurity=False).hexdigest(), 16) % 100
    return "test" if bucket < 20 else "valid" if bucket < 35 else "train"


def _artists(folder: Path, sources: list[str]) -> dict[str, str]:
    """Artist of each piece of music, ``<source>-<artist>``, where ANNOTATIONS names one (``name genres vocals artist``)."""
    artists = {}
    for source in sources:
        file = folder / "music" / source / "ANNOTATIONS"
        for line in read_lines(file):
            name, *_, artist = line.split()[:4]
            artists[name] = f"{source}-{artist}"
    return artists


DATASET = Musan()
