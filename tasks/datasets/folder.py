"""Any folder of audio as a pre-training corpus: what lies below ``<data root>/folder``, in any container, without labels.

For several such corpora, or another place, declare a subclass under the entry point ``benchmark.datasets``::

    class FieldRecordings(AudioFolder):
        id = "field_recordings"
        folder = "field_recordings"
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import quote

import pandas as pd

from benchmark import MEDIA, DataError, Dataset, audio_files, numpy_stream, sound_clip, sound_kinds, write_audio

_RATE = 16_000
_STANDIN = ("a.wav", "b.flac", "c d.mp3", "street/1.wav", "street/2.wav", "park/deep/x.wav", "park/deep/y.flac")


class AudioFolder(Dataset):
    """Files of a known container (:data:`benchmark.MEDIA`); a sub-folder's files are one recording, its own group."""

    id = "folder"
    title = "A folder of audio"
    homepage = "the user's own"
    licence = "the user's own"
    citation = "The user's own."
    access = "user-supplied"
    folder = "folder"
    labels = {}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = 0
    steps = "Put audio files below the folder named `folder` of the data folder, in any sub-folders."
    notes = (
        "Without labels: for pre-training only. Groups are sub-folders, or the files themselves at the top, so that what "
        "overlaps an evaluated dataset cannot be found by source; use it where you know there is none.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows by path; the clip's id is its path."""
        paths = audio_files(folder, "", MEDIA)
        if not paths:
            raise DataError(f"{folder} does not exist or holds no audio file; put some there.")
        parents = [str(PurePosixPath(path).parent) for path in paths]
        groups = [path if parent == "." else parent for path, parent in zip(paths, parents, strict=True)]
        return pd.DataFrame(
            {"clip_id": paths, "path": paths, "group": [f"{self.id}:{quote(group)}" for group in groups]}
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """A handful of sounds in three containers, some in sub-folders."""
        kinds = sound_kinds(len(_STANDIN))
        for name, kind in zip(_STANDIN, kinds, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            generator = numpy_stream(seed, self.id, name)
            write_audio(folder / name, sound_clip(generator, kind[None], _RATE, _RATE), _RATE)


DATASET = AudioFolder()
