"""Speech Commands v0.02: one-second utterances of 35 words (Warden 2018)."""

from __future__ import annotations

from benchmark import Archive
from tasks.datasets._speech_commands import AUXILIARY, CORE, SpeechCommands

_FILES = "download.tensorflow.org/data"


class SpeechCommandsV2(SpeechCommands):
    """Release of April 2018, with five more words."""

    id = "speech_commands_v2"
    title = "Speech Commands v0.02"
    homepage = "https://arxiv.org/abs/1804.03209"
    licence = "CC BY 4.0"
    citation = (
        "P. Warden. Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition. arXiv:1804.03209, 2018."
    )
    archives = (
        Archive(
            file="speech_commands_v0.02.tar.gz",
            url=f"https://storage.googleapis.com/{_FILES}/speech_commands_v0.02.tar.gz",
            bytes=2_428_923_189,
            md5="6b74f3901214cb2c2934e98196829835",
            sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            source="bytes, sha256: tensorflow_datasets url_checksums/speech_commands.txt, torchaudio; "
            "md5: hear-preprocess speech_commands.py",
            note="members start with ./ and have no top folder",
            mirrors=(f"http://{_FILES}/speech_commands_v0.02.tar.gz",),
            into="speech_commands_v0.02",
        ),
    )
    folder = "speech_commands_v0.02"
    words = (*CORE, *AUXILIARY, "backward", "follow", "forward", "learn", "visual")
    labels = {"word": words}  # noqa: RUF012 (a ClassVar of the base)
    standin_classes = {"word": ("no", "left", "two", "five", "cat", "marvin", "follow", "visual")}  # noqa: RUF012
    expected_clips = 105_829
    expected_splits = {"train": 84_843, "valid": 9_981, "test": 11_005}  # noqa: RUF012
    notes = (
        "The 6 recordings of background noise are left out.",
        "The hash rule agrees with the official validation and test lists.",
        "Holds speakers and clips of v0.01; both share one namespace of speakers.",
        "TFDS reports a few wavs that do not decode; which ones is not published.",
        "A 12-class test set exists apart (speech_commands_test_set_v0.02.tar.gz, 112,563,277 bytes, "
        "md5 854c580ee90bff80c516491c84544e32); it is not used.",
    )


DATASET = SpeechCommandsV2()
