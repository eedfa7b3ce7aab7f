"""LibriSpeech train-clean-100: 100 hours of audio books by 251 readers (Panayotov et al. 2015)."""

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
    write_audio,
)

SPEAKERS = tuple(
    str(number)
    for number in (
        *(19, 26, 27, 32, 39, 40, 60, 78, 83, 87, 89, 103, 118, 125, 150, 163, 196, 198, 200, 201, 211, 226),
        *(229, 233, 248, 250, 254, 289, 298, 302, 307, 311, 322, 328, 332, 374, 403, 405, 412, 426, 441, 445),
        *(446, 458, 460, 481, 587, 625, 669, 696, 730, 831, 839, 887, 909, 911, 1034, 1040, 1069, 1081, 1088),
        *(1098, 1116, 1183, 1235, 1246, 1263, 1334, 1355, 1363, 1447, 1455, 1502, 1553, 1578, 1594, 1624, 1723),
        *(1737, 1743, 1841, 1867, 1898, 1926, 1963, 1970, 1992, 2002, 2007, 2092, 2136, 2159, 2182, 2196, 2289),
        *(2384, 2391, 2416, 2436, 2514, 2518, 2691, 2764, 2817, 2836, 2843, 2893, 2910, 2911, 2952, 2989, 3112),
        *(3168, 3214, 3235, 3240, 3242, 3259, 3374, 3436, 3440, 3486, 3526, 3607, 3664, 3699, 3723, 3807, 3830),
        *(3857, 3879, 3947, 3982, 3983, 4014, 4018, 4051, 4088, 4137, 4160, 4195, 4214, 4267, 4297, 4340, 4362),
        *(4397, 4406, 4441, 4481, 4640, 4680, 4788, 4813, 4830, 4853, 4859, 4898, 5022, 5049, 5104, 5163, 5192),
        *(5322, 5339, 5390, 5393, 5456, 5463, 5514, 5561, 5652, 5678, 5688, 5703, 5750, 5778, 5789, 5808, 5867),
        *(6000, 6019, 6064, 6078, 6081, 6147, 6181, 6209, 6272, 6367, 6385, 6415, 6437, 6454, 6476, 6529, 6531),
        *(6563, 6818, 6836, 6848, 6880, 6925, 7059, 7067, 7078, 7113, 7148, 7178, 7190, 7226, 7264, 7278, 7302),
        *(7312, 7367, 7402, 7447, 7505, 7511, 7517, 7635, 7780, 7794, 7800, 7859, 8014, 8051, 8063, 8088, 8095),
        *(8098, 8108, 8123, 8226, 8238, 8312, 8324, 8419, 8425, 8465, 8468, 8580, 8609, 8629, 8630, 8747, 8770),
        *(8797, 8838, 8975),
    )
)
"""The readers that SPEAKERS.TXT assigns to train-clean-100, in its order."""

_AUDIO = "train-clean-100"
_SPEAKERS_FILE = "SPEAKERS.TXT"
_NAME = re.compile(r"train-clean-100/(\d+)/(\d+)/\1-\2-(\d{4})\.flac")
_HELD_OUT = 5  # one in so many utterances, where no whole chapter can be spared
_RATE = 16_000
_STANDIN_CHAPTERS = ((12,), (8, 4), (4, 5, 3), (3, 12), (5, 4, 3, 3), (12,), (6, 3, 3), (9, 3))
"""Utterances of each chapter of each stand-in reader."""


class LibriSpeech100(Dataset):
    """``train-clean-100/{speaker}/{chapter}/{speaker}-{chapter}-{utterance}.flac``, with a split of our own by chapter."""

    id = "librispeech100"
    title = "LibriSpeech train-clean-100"
    homepage = "https://www.openslr.org/12"
    licence = "CC BY 4.0"
    citation = (
        "V. Panayotov, G. Chen, D. Povey, S. Khudanpur. Librispeech: an ASR corpus based on public domain audio books. "
        "ICASSP 2015."
    )
    archives = (
        Archive(
            file="train-clean-100.tar.gz",
            url="https://www.openslr.org/resources/12/train-clean-100.tar.gz",
            bytes=6_387_309_499,
            md5="2a93770f6d5c6c964bc36631d331a522",
            sha256="d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
            source="bytes, sha256: tensorflow_datasets url_checksums/librispeech.txt, torchaudio librispeech.py; "
            "md5: openslr md5sum.txt as copied in many repositories",
            mirrors=(
                "https://us.openslr.org/resources/12/train-clean-100.tar.gz",
                "https://openslr.elda.org/resources/12/train-clean-100.tar.gz",
                "https://openslr.trmal.net/resources/12/train-clean-100.tar.gz",
            ),
        ),
    )
    folder = "LibriSpeech"
    labels = {"speaker": SPEAKERS}  # noqa: RUF012 (a ClassVar of the base)
    standin_classes = {"speaker": ("19", "103", "587", "1183", "2092", "3983", "6181", "8238")}  # noqa: RUF012
    expected_clips = 28_539
    notes = (
        "There is no official split for speaker identification, and the papers state none. Here, of each reader, the chapter "
        "with the fewest utterances (of equals the one with the lowest id) is the test part; the only chapter of a reader "
        "with one gives its last fifth instead. Validation is the last fifth, in reading order, of what remains.",
        "Groups are chapters; where a chapter had to be cut, its parts, so those share their recording conditions.",
        "MUSAN's speech and the Kaggle spoken languages are LibriVox too, without ids that could be compared.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in a hashed order, that tells no label; the transcripts are not read."""
        _check_speakers(folder / _SPEAKERS_FILE)
        paths = [path for path in audio_files(folder, _AUDIO, "") if not path.endswith(".trans.txt")]
        rows = []
        for path in paths:
            match = _NAME.fullmatch(path)
            if match is None or match[1] not in SPEAKERS:
                raise DataError(
                    f"{folder / path} is not {{speaker}}/{{chapter}}/{{speaker}}-{{chapter}}-{{utterance}}.flac of one of "
                    "the 251 readers; remove it or fetch the dataset again."
                )
            rows.append((match[1], int(match[2]), int(match[3]), path))
        if not rows:
            raise DataError(f"{folder / _AUDIO} holds no recording; fetch the dataset again.")
        table = pd.DataFrame(rows, columns=["speaker", "chapter", "utterance", "path"])
        table = table.sort_values(["speaker", "chapter", "utterance"], ignore_index=True)
        table["split"] = np.concatenate([_split(reader) for _, reader in table.groupby("speaker")])
        cut = table.groupby("chapter")["split"].transform("nunique") > 1
        table["group"] = "librispeech:" + table["chapter"].astype(str) + ("-" + table["split"]).where(cut, "")
        table["clip_id"] = table["path"].str.extract(r"([^/]+)\.flac", expand=False)
        columns = ["clip_id", "path", "group", "split", "speaker"]
        return table.set_index("path", drop=False).loc[shuffled(table["path"]), columns].reset_index(drop=True)

    def write_standin(self, folder: Path, seed: int) -> None:
        """Eight readers with one to four chapters, each chapter with its own channel and transcripts."""
        speakers = self.standin_classes["speaker"]
        chapters = iter(numpy_stream(seed, self.id, "chapters").permutation(np.arange(100_000, 200_000)).tolist())
        language = languages(2)[1]
        for speaker, lengths in zip(speakers, _STANDIN_CHAPTERS, strict=True):
            voice = draw_voice(numpy_stream(seed, self.id, speaker))
            for utterances in lengths:
                chapter = next(chapters)
                below = folder / _AUDIO / speaker / str(chapter)
                below.mkdir(parents=True)
                transcripts = []
                for utterance in range(utterances):
                    name = f"{speaker}-{chapter}-{utterance:04d}"
                    generator = numpy_stream(seed, self.id, name)
                    samples = int(generator.uniform(0.8, 1.6) * _RATE)
                    wave = synthesise_babble(generator, voice, language, int(0.85 * samples), _RATE)
                    write_audio(below / f"{name}.flac", place_in_noise(generator, wave, samples, _RATE), _RATE)
                    transcripts.append(f"{name} SYNTHETIC BABBLE\n")
                (below / f"{speaker}-{chapter}.trans.txt").write_text("".join(transcripts), encoding="utf-8")
        lines = [f"{speaker:<4} | F | {_AUDIO}  | 25.00 | Synthetic Reader\n" for speaker in speakers]
        lines.append("14   | F | train-clean-360  | 25.03 | Another Reader\n")
        header = (
            "; Some pipe(|) separated metadata about all LibriVox readers\n;ID  |SEX| SUBSET           |MINUTES| NAME\n"
        )
        (folder / _SPEAKERS_FILE).write_text(header + "".join(lines), encoding="utf-8")


def _check_speakers(file: Path) -> None:
    """Check that the readers that the file assigns to this subset are known ones."""
    fields = [line.split("|") for line in read_lines(file) if not line.startswith(";")]
    listed = {field[0].strip() for field in fields if len(field) >= 5 and field[2].strip() == _AUDIO}
    if unknown := sorted(listed - set(SPEAKERS)):
        raise DataError(f"{file} assigns the unknown reader {unknown[0]} to {_AUDIO}; fetch the dataset again.")


def _split(reader: pd.DataFrame) -> list[str]:
    """Part of each utterance of one reader, whose rows are in reading order."""
    sizes = reader["chapter"].value_counts()
    if len(sizes) > 1:
        smallest = min(sizes.index, key=lambda chapter: (sizes[chapter], chapter))
        test = (reader["chapter"] == smallest).to_numpy()
    else:
        test = np.arange(len(reader)) >= len(reader) - max(1, len(reader) // _HELD_OUT)
    parts = np.where(test, "test", "train").astype(object)
    kept = np.flatnonzero(~test)
    parts[kept[len(kept) - max(1, len(kept) // _HELD_OUT) :]] = "valid"
    return list(parts)


DATASET = LibriSpeech100()
