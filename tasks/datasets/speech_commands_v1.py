"""Speech Commands v0.01: one-second utterances of 30 words (Warden 2018)."""

from __future__ import annotations

from benchmark import Archive
from tasks.datasets._speech_commands import AUXILIARY, CORE, SpeechCommands

_FILES = "download.tensorflow.org/data"


class SpeechCommandsV1(SpeechCommands):
    """Release of August 2017."""

    id = "speech_commands_v1"
    title = "Speech Commands v0.01"
    homepage = "https://arxiv.org/abs/1804.03209"
    licence = "CC BY 4.0"
    citation = (
        "P. Warden. Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition. arXiv:1804.03209, 2018."
    )
    archives = (
        Archive(
            file="speech_commands_v0.01.tar.gz",
            url=f"https://storage.googleapis.com/{_FILES}/speech_commands_v0.01.tar.gz",
            bytes=1_489_096_277,
            md5="3cd23799cb2bbdec517f1cc028f8d43c",
            sha256="743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
            source="sha256: torchaudio speechcommands.py; md5: older torchaudio; bytes: a wget log",
            mirrors=(f"http://{_FILES}/speech_commands_v0.01.tar.gz",),
            into="speech_commands_v0.01",
        ),
    )
    folder = "speech_commands_v0.01"
    words = (*CORE, *AUXILIARY)
    labels = {"word": words}  # noqa: RUF012 (a ClassVar of the base)
    standin_classes = {"word": ("yes", "stop", "zero", "three", "seven", "bird", "house", "tree")}  # noqa: RUF012
    expected_clips = 64_721
    expected_splits = {"train": 51_088, "valid": 6_798, "test": 6_835}  # noqa: RUF012
    notes = (
        "The README's 64,727 files are 64,721 clips and 6 recordings of background noise, which are left out.",
        "The hash rule reproduces all assignments of a copy of the official lists.",
        "v0.02 holds speakers and clips of this release; both share one namespace of speakers.",
        "A 12-class test set exists apart (speech_commands_test_set_v0.01.tar.gz, no size or checksum known); it is not used.",
    )


DATASET = SpeechCommandsV1()
