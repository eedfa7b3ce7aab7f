"""VoxForge: read sentences in six languages, as collected for TFDS voxforge 1.0.0 (MacLean 2018)."""

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
    draw_voice,
    languages,
    numpy_stream,
    place_in_noise,
    read_lines,
    shuffled,
    synthesise_babble,
    write_wav,
)

LANGUAGES = ("de", "en", "es", "fr", "it", "ru")

_URLS = "voxforge_urls.txt"
_URL = re.compile(r"(?:https?://)?((?:[^/]+/)*(..)/Trunk/(?:[^/]+/)*(([^/-]+)[^/]*))\.tgz")
_HOST = "www.repository.voxforge1.org/downloads"
_SHARES = (("train", 0.7), ("valid", 0.1), ("test", 0.2))
_RATES = (16_000, 16_000, 16_000, 48_000)
_STANDIN_SPEAKERS = 60
_STANDIN_CLIPS = 2


class VoxForge(Dataset):
    """TFDS's list of archives, each unpacked into a folder of its own name: ``{host}/.../{archive}/wav/*.wav``."""

    id = "voxforge"
    title = "VoxForge"
    homepage = "http://www.voxforge.org/"
    licence = "GPL (unverified)"
    citation = "K. MacLean. VoxForge. http://www.voxforge.org/home, 2018."
    access = "user-supplied"
    archives = (
        Archive(
            file=_URLS,
            url="https://storage.googleapis.com/tfds-data/downloads/voxforge/voxforge_urls.txt",
            source="tensorflow_datasets audio/voxforge.py",
            note="a list of 13,837 addresses of .tgz archives, without checksums",
            into="voxforge",
            holds=(_URLS,),
        ),
    )
    folder = "voxforge"
    labels = {"language": LANGUAGES}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = 176_428
    steps = (
        "Download voxforge_urls.txt into a folder voxforge and there run `wget -i voxforge_urls.txt -x` (about 100 GB; many "
        "archives are gone, which is reported as coverage). Unpack each archive into a folder of its name beside it, "
        'for example with `find . -name "*.tgz" -execdir tar xzf {} \\;`.'
    )
    notes = (
        "The split is TFDS's: the speakers of the whole list, sorted, shuffled by numpy's RandomState(0), 70 / 10 / 20 %.",
        'All "anonymous" archives count as one speaker and fall into one part.',
        "176,428 clips is the number in EVAR's metadata; TFDS's own is not known. Some uploads are said to be 48 kHz "
        "(unverified).",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in a hashed order, that tells no label; archives of the list that are not there are only less coverage."""
        archives = _listed(folder / _URLS)
        parts = _speaker_split({speaker for _, speaker in archives.values()})
        paths = shuffled(path for path in audio_files(folder, "") if "/wav/" in path)
        names = [path.rsplit("/wav/", 1)[0] for path in paths]
        for path, name in zip(paths, names, strict=True):
            if name not in archives:
                raise DataError(f"{folder / path} is of no archive that {_URLS} lists; remove it.")
        if not paths:
            raise DataError(f"{folder} holds no unpacked archive of {_URLS}; {self.steps}")
        speakers = [archives[name][1] for name in names]
        return pd.DataFrame(
            {
                "clip_id": [path.removesuffix(".wav").replace("/wav/", "/") for path in paths],
                "path": paths,
                "group": [f"voxforge:{speaker}" for speaker in speakers],
                "split": [parts[speaker] for speaker in speakers],
                "language": [archives[name][0] for name in names],
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """Sixty speakers with two sentences each; languages are dealt out evenly within each part of the split."""
        names = [f"reader{number:03d}" for number in range(_STANDIN_SPEAKERS)]
        parts = _speaker_split(set(names))
        spoken = languages(len(LANGUAGES))
        urls = []
        for number, speaker in enumerate(sorted(names, key=lambda name: (parts[name], name))):
            language = LANGUAGES[number % len(LANGUAGES)]
            of_speaker = numpy_stream(seed, self.id, speaker)
            voice, rate = draw_voice(of_speaker), int(of_speaker.choice(_RATES))
            archive = (
                f"{_HOST}/{language}/Trunk/Audio/Main/16kHz_16bit/{speaker}-20090101-{of_speaker.integers(1000):03d}"
            )
            (folder / archive / "wav").mkdir(parents=True)
            for sentence in range(1, _STANDIN_CLIPS + 1):
                generator = numpy_stream(seed, self.id, speaker, sentence)
                samples = int(generator.uniform(0.6, 1) * rate)
                wave = synthesise_babble(generator, voice, spoken[number % len(LANGUAGES)], int(0.9 * samples), rate)
                clip = place_in_noise(generator, wave, samples, rate)
                write_wav(folder / archive / "wav" / f"{language}-{sentence:04d}.wav", clip, rate)
            urls.append(f'"{archive}.tgz"\n')
        urls.append(f'"{_HOST}/de/Trunk/Audio/Main/16kHz_16bit/reader000-20090101-gone.tgz"\n')
        (folder / _URLS).write_text("".join(urls), encoding="utf-8")


def _listed(file: Path) -> dict[str, tuple[str, str]]:
    """Language and speaker of every listed archive, by its path without ``.tgz``, as TFDS reads them from the address."""
    archives = {}
    for line in read_lines(file):
        match = _URL.fullmatch(line.replace('"', "").replace("'", ""))
        if match is None or match[2] not in LANGUAGES:
            raise DataError(f"{file} has the line {line[:80]!r}, which is no archive of a language; fetch it again.")
        archives[match[1]] = (match[2], match[4])
    return archives


def _speaker_split(speakers: set[str]) -> dict[str, str]:
    """Part of each speaker (TFDS voxforge.py, ``_get_inter_splits_by_group``)."""
    order = sorted(speakers)
    np.random.RandomState(0).shuffle(order)
    bounds = [int(share * len(order)) for share in np.cumsum([share for _, share in _SHARES])]
    bounds[-1] = len(order)
    starts = [0, *bounds[:-1]]
    return {
        speaker: part
        for (part, _), start, end in zip(_SHARES, starts, bounds, strict=True)
        for speaker in order[start:end]
    }


DATASET = VoxForge()
