"""VoxCeleb1: 153,516 utterances of 1,251 celebrities, from YouTube interviews (Nagrani et al. 2017)."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    draw_voice,
    languages,
    match_audio,
    numpy_stream,
    place_in_noise,
    read_lines,
    shuffled,
    synthesise_babble,
    write_wav,
)

SPEAKERS = tuple(f"id{number}" for number in range(10_001, 11_252))

_SPLIT = "iden_split.txt"
_PARTS = {"1": "train", "2": "valid", "3": "test"}
_LINE = re.compile(r"([123]) ((id\d{5})/([\w-]{11})/\d{5}\.wav)")
_THOR = "https://thor.robots.ox.ac.uk/~vgg/data/voxceleb/vox1a"
_HASHES = "sha256: torchaudio voxceleb1.py; md5: clovaai/voxceleb_trainer lists as copied by PaddleSpeech"
_DEVELOPMENT = ("wav/id10[01]??/**", "wav/id102[0-6]?/**", "wav/id103[1-9]?/**", "wav/id10[4-9]??/**", "wav/id11???/**")
_RATE = 16_000
_STANDIN_VIDEOS = "11112233"  # parts of each stand-in speaker's videos
_STANDIN_CLIPS = (2, 1, 2, 1, 1, 1, 2, 2)  # utterances of each of them


def _part(suffix: str, md5: str, sha256: str, size: str) -> Archive:
    return Archive(
        file=f"vox1_dev_wav_part{suffix}",
        url=f"{_THOR}/vox1_dev_wav_part{suffix}",
        md5=md5,
        sha256=sha256,
        source=_HASHES,
        note=f"about {size}; a plain byte split, whose concatenation has md5 ae63e55b951748cc486645f532ba230b (PaddleSpeech)",
        part_of="vox1_dev_wav.zip",
        into="VoxCeleb1",
        holds=_DEVELOPMENT,
    )


class VoxCeleb1(Dataset):
    """``wav/{speaker}/{video}/{utterance}.wav`` with the official identification split ``iden_split.txt``."""

    id = "voxceleb1"
    title = "VoxCeleb1"
    homepage = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html"
    licence = "CC BY 4.0 (as lhotse states); copyright stays with the owners of the videos"
    citation = "A. Nagrani, J. S. Chung, A. Zisserman. VoxCeleb: a large-scale speaker identification dataset. Interspeech 2017."
    access = "form"
    archives = (
        _part(
            "aa",
            "e395d020928bc15670b570a21695ed96",
            "21ec6ca843659ebc2fdbe04b530baa4f191ad4b0971912672d92c158f32226a0",
            "10.7 GB",
        ),
        _part(
            "ab",
            "bbfaaccefab65d82b21903e81a8a8020",
            "311d21e0c8cbf33573a4fce6c80e5a279d80736274b381c394319fc557159a04",
            "10.7 GB",
        ),
        _part(
            "ac",
            "017d579a2a96a077f40042ec33e51512",
            "92b64465f2b2a3dc0e4196ae8dd6828cbe9ddd1f089419a11e4cbfe2e1750df0",
            "10.7 GB",
        ),
        _part(
            "ad",
            "7bb1e9f70fddc7a678fa998ea8b3ba19",
            "00e6190c770b27f27d2a3dd26ee15596b17066b715ac111906861a7d09a211a5",
            "384 MB",
        ),
        Archive(
            file="vox1_test_wav.zip",
            url=f"{_THOR}/vox1_test_wav.zip",
            md5="185fdc63c3c739954633d50379a3d102",
            sha256="8de57f347fe22b2c24526e9f444f689ecf5096fc2a92018cf420ff6b5b15eaea",
            source=_HASHES,
            note="about 1.07 GB; the 40 speakers of the verification test, id10270 to id10309 (from memory, unverified)",
            into="VoxCeleb1",
            holds=("wav/id102[7-9]?/**", "wav/id1030?/**"),
        ),
        Archive(
            file=_SPLIT,
            url="https://www.robots.ox.ac.uk/~vgg/data/voxceleb/meta/iden_split.txt",
            bytes=4_912_512,
            sha256="3c1d792d4058861cd476a27cc942c824f7e9df812864115a7c2b12df97edfbbf",
            source="tensorflow_datasets url_checksums/voxceleb.txt",
            into="VoxCeleb1",
            holds=(_SPLIT,),
        ),
    )
    folder = "VoxCeleb1"
    labels = {"speaker": SPEAKERS}  # noqa: RUF012 (a ClassVar of the base)
    standin_classes = {  # noqa: RUF012
        "speaker": ("id10001", "id10064", "id10207", "id10271", "id10305", "id10488", "id10999", "id11251")
    }
    expected_clips = 153_516
    expected_splits = {"train": 138_361, "valid": 6_904, "test": 8_251}  # noqa: RUF012
    steps = (
        "Register at https://www.robots.ox.ac.uk/~vgg/data/voxceleb/ and download vox1_dev_wav_partaa to partad, "
        "vox1_test_wav.zip and meta/iden_split.txt with the name and password sent to you. "
        "Join the parts in order (cat vox1_dev_wav_part* > vox1_dev_wav.zip), unpack both zips into one folder VoxCeleb1, so "
        "that it holds wav/id10001 to wav/id11251, and put iden_split.txt beside wav."
    )
    notes = (
        "Split sizes as on the dataset card of yangwang825/vox1-iden-full; the list itself was not at hand.",
        "The links of Oxford have been withdrawn at times.",
        "TFDS drops the 40 speakers of the verification test; here all 1,251 are read.",
        "Groups are YouTube ids, which AudioSet and Kinetics share; videos of a speaker do not straddle the split "
        "(as the official list is said to be made; training clips that would are left out and counted).",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in a hashed order, that tells no label; groups are videos."""
        rows = []
        for line in read_lines(folder / _SPLIT):
            match = _LINE.fullmatch(line)
            if match is None or match[3] not in _KNOWN:
                raise DataError(
                    f"{folder / _SPLIT} has the line {line[:60]!r}, which is none of it; fetch the dataset again."
                )
            rows.append((f"wav/{match[2]}", match[2].removesuffix(".wav"), _PARTS[match[1]], match[3], match[4]))
        clips = pd.DataFrame(rows, columns=["path", "clip_id", "split", "speaker", "video"])
        match_audio(folder, clips["path"], "wav")
        clips["group"] = "youtube:" + clips.pop("video")
        return clips.set_index("path", drop=False).loc[shuffled(clips["path"])].reset_index(drop=True)

    def write_standin(self, folder: Path, seed: int) -> None:
        """Eight speakers with eight videos each, two of them among the speakers of the verification test."""
        language, lines = languages(2)[1], []
        for speaker in self.standin_classes["speaker"]:
            voice = draw_voice(numpy_stream(seed, self.id, speaker))
            for number, (part, clips) in enumerate(zip(_STANDIN_VIDEOS, _STANDIN_CLIPS, strict=True)):
                of_video = numpy_stream(seed, self.id, speaker, number)
                video = "".join(of_video.choice(list("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNOP0123456789_-"), 11))
                (folder / "wav" / speaker / video).mkdir(parents=True)
                for clip in range(1, clips + 1):
                    path = f"{speaker}/{video}/{clip:05d}.wav"
                    generator = numpy_stream(seed, self.id, path)
                    samples = int(generator.uniform(0.8, 1.6) * _RATE)
                    wave = synthesise_babble(generator, voice, language, int(0.85 * samples), _RATE)
                    write_wav(folder / "wav" / path, place_in_noise(generator, wave, samples, _RATE), _RATE)
                    lines.append(f"{part} {path}\n")
        (folder / _SPLIT).write_text("".join(lines), encoding="utf-8")


_KNOWN = frozenset(SPEAKERS)

DATASET = VoxCeleb1()
