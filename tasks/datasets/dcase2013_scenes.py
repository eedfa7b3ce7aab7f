"""DCASE 2013 acoustic scenes: ten binaural recordings of 30 s of each of ten scenes, in a public and a private set."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import Archive, DataError, Dataset, audio_files, numpy_stream, sound_clip, sound_kinds, write_wav

CLASSES = (
    *("bus", "busystreet", "office", "openairmarket", "park"),
    *("quietstreet", "restaurant", "supermarket", "tube", "tubestation"),
)

FOLDERS = {"public": "scenes_stereo", "private": "scenes_stereo_testset"}
"""Where each set lies. The private archive has no folder of its own and the public set's file names."""

_NAME = re.compile(rf"({'|'.join(sorted(CLASSES, key=len, reverse=True))})(\d\d)\.wav")
_KEY = "dcase2013_task1_filenamekey.csv"
_RATE = 44_100
_STANDIN_TAKES = 5
_SOURCE = "DCASE-REPO/dcase_util@a2694b0 dcase_util/datasets/dcase2013.py"


class Dcase2013Scenes(Dataset):
    """Both sets, each in its folder; the scene is the file's name without its two digits."""

    id = "dcase2013_scenes"
    title = "DCASE 2013 acoustic scenes"
    homepage = "https://archive.org/details/dcase2013_scene_classification"
    licence = "not found"
    citation = (
        "D. Giannoulis, E. Benetos, D. Stowell, M. Rossignol, M. Lagrange, M. D. Plumbley. "
        "Detection and Classification of Acoustic Scenes and Events: an IEEE AASP Challenge. WASPAA 2013."
    )
    archives = (
        Archive(
            file="scenes_stereo.zip",
            url="https://archive.org/download/dcase2013_scene_classification/scenes_stereo.zip",
            bytes=361_748_263,
            md5="abdefde136d84de33b0f20a0f13a6b97",
            source=_SOURCE,
            note="public set; an older address at c4dm.eecs.qmul.ac.uk stands in old baselines, not known to be alive",
            into="dcase2013_scenes",
            holds=("scenes_stereo/*",),
        ),
        Archive(
            file="scenes_stereo_testset.zip",
            url="https://archive.org/download/dcase2013_scene_classification_testset/scenes_stereo_testset.zip",
            bytes=371_994_727,
            source=_SOURCE,
            note="private set; its files lie at the archive's root",
            into="dcase2013_scenes/scenes_stereo_testset",
            holds=("scenes_stereo_testset/*",),
        ),
        Archive(
            file=_KEY,
            url=f"https://archive.org/download/dcase2013_scene_classification_testset/{_KEY}",
            bytes=8_572,
            source=_SOURCE,
            note="key of the private set; not read, since the file names say the same",
            into="dcase2013_scenes",
            holds=(_KEY,),
        ),
    )
    folder = "dcase2013_scenes"
    labels = {"scene": CLASSES}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = 200
    expected_splits = {"public": 100, "private": 100}  # noqa: RUF012
    notes = (
        "Two folds, the public and the private set, is a reading of lin2022 (200 samples in 2 folds), which names nine "
        "of the ten classes.",
        "The challenge trains on the public set and tests on the private one.",
        "Sampling rate, width and channels are from the challenge's description, not re-measured.",
        "No recording locations are published, so each recording is its own group.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows by number, scene and set, so that a row's place tells no label."""
        rows = []
        for fold, below in FOLDERS.items():
            for path in audio_files(folder, below):
                match = _NAME.fullmatch(path.removeprefix(f"{below}/"))
                if match is None:
                    raise DataError(
                        f"{folder / path} is not named {{scene}}{{two digits}}.wav; remove it or fetch again."
                    )
                rows.append((match[2], match[1], fold, path))
        if not rows:
            raise DataError(f"{folder} holds no recording; fetch the dataset again.")
        numbers, scenes, folds, paths = zip(*sorted(rows), strict=True)
        names = [f"{fold}-{scene}{number}" for number, scene, fold in zip(numbers, scenes, folds, strict=True)]
        return pd.DataFrame(
            {
                "clip_id": names,
                "path": paths,
                "group": [f"dcase2013:{name}" for name in names],
                "fold": folds,
                "scene": scenes,
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """Five stereo recordings of each scene and set, of a second or less."""
        kinds = sound_kinds(len(CLASSES))
        for below in FOLDERS.values():
            (folder / below).mkdir()
            for scene, kind in zip(CLASSES, kinds, strict=True):
                for take in range(1, _STANDIN_TAKES + 1):
                    generator = numpy_stream(seed, self.id, below, scene, take)
                    clip = sound_clip(generator, kind[None], int(generator.uniform(0.6, 1) * _RATE), _RATE)
                    audio = np.stack([clip, np.float32(0.8) * np.roll(clip, 20)], axis=1)
                    write_wav(folder / below / f"{scene}{take:02d}.wav", audio, _RATE)
        (folder / _KEY).write_text("Stand-in: the file names tell the scenes.\n", encoding="utf-8")


DATASET = Dcase2013Scenes()
