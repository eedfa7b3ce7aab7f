"""AudioSet: two million 10 s segments of YouTube videos tagged with 527 classes (Gemmeke et al. 2017).

There is no official audio. What is read are the official segment lists and a folder of media that the user has, named by
video id. Every copy differs, so coverage is counted (:attr:`Dataset.expected_splits` against what is found), and the ids
that were used stand, with their hash, in the prepared clips table.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark import (
    MEDIA,
    Archive,
    DataError,
    Dataset,
    audio_files,
    numpy_stream,
    read_metadata,
    sound_clip,
    sound_kinds,
    translate_labels,
    write_audio,
)

CLASS_LIST = Path(__file__).parent / "lists" / "audioset_classes.csv"
"""The official ``class_labels_indices.csv``: index, identifier, name."""

NAMES: dict[str, str] = dict(pd.read_csv(CLASS_LIST, usecols=["mid", "display_name"]).itertuples(index=False))
"""Class of each identifier of the ontology, in the official order."""

LISTS = {
    "balanced_train": "balanced_train_segments.csv",
    "unbalanced_train": "unbalanced_train_segments.csv",
    "eval": "eval_segments.csv",
}

_COLUMNS = ("YTID", "start_seconds", "end_seconds", "positive_labels")
_HEADER_LINES = 3
_ID_LENGTH = 11
_BASE = "https://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv"
_SOURCE = "tensorflow/datasets tensorflow_datasets/audio/audioset/checksums.tsv (http form of the address)"
_RATE = 16_000
_ALPHABET = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
_STANDIN_CLASSES = ("/m/0bt9lr", "/m/0342h", "/m/06mb1", "/m/07r660_", "/m/0k4j", "/m/05zppz")
_STANDIN_CLIPS = {"balanced_train": 45, "unbalanced_train": 30, "eval": 45}
_STANDIN_MISSING = 0.15
_STANDIN_SECONDS = 5.0
"""At least: Audio2Vec reads 4.89 s of a clip (tagliasacchi2020, P = 2)."""
_STANDIN_SPREAD = 0.08
_STANDIN_NAMES = ("{}.wav", "Y{}.flac", "{}_30000.mp3", "{}.flac")


def _list(file: str, size: int, sha256: str | None = None, source: str = _SOURCE) -> Archive:
    return Archive(file, f"{_BASE}/{file}", size, sha256=sha256, source=source, into="audioset", holds=(file,))


class AudioSet(Dataset):
    """The three segment lists and ``media/``: any container, in any sub-folders, one file a segment.

    A file's name is the id of its video, perhaps after a ``Y`` and perhaps followed by ``_`` and anything
    (``{id}.flac``, ``Y{id}.wav``, ``{id}_30000.m4a``). It holds the segment, not the whole video.
    """

    id = "audioset"
    title = "AudioSet"
    homepage = "https://research.google.com/audioset/download.html"
    licence = "labels CC BY 4.0, ontology CC BY-SA 4.0; audio: YouTube"
    citation = (
        "J. F. Gemmeke, D. P. W. Ellis, D. Freedman, A. Jansen, W. Lawrence, R. C. Moore, M. Plakal, M. Ritter. "
        "Audio Set: An ontology and human-labeled dataset for audio events. ICASSP 2017."
    )
    access = "user-supplied"
    archives = (
        _list(
            "balanced_train_segments.csv",
            1_211_931,
            "3b83e5ff9ed72cfda37d4e36ce08250e107c1ea70f109f6ab6668ac200db5e94",
        ),
        _list(
            "eval_segments.csv",
            1_143_389,
            "f7055f53935f70e74e39494a5c8c4c78f1700fce275028bd36e31186f33d45db",
        ),
        _list(
            "unbalanced_train_segments.csv",
            101_468_408,
            "bb2dfd5e4f1ced39db9480633c510f813d7899f4b7472aa83a411b4a43a12698",
        ),
        _list(
            "class_labels_indices.csv",
            14_675,
            source="bytes: copy in qiuqiangkong/audioset_tagging_cnn@d2f4b8c metadata/",
        ),
    )
    folder = "audioset"
    labels = {}  # noqa: RUF012 (a ClassVar of the base)
    multi_labels = {"labels": tuple(NAMES.values())}  # noqa: RUF012
    expected_clips = 2_084_320
    expected_splits = {"balanced_train": 22_160, "unbalanced_train": 2_041_789, "eval": 20_371}  # noqa: RUF012
    steps = (
        "There is no official audio. Put the 10 s segments that you have below audioset/media, in any sub-folders and any "
        "common container, each named by its video's id ({id}.flac, Y{id}.wav, {id}_30000.m4a); the lists are fetched."
    )
    notes = (
        "Segments are those of the lists (num_segs in their headers); the download page says 22,176, 2,042,985 and 20,383.",
        "Every copy differs; compare scores only with their coverage. One unofficial crawl of March 2023 has 18,685 of the "
        "balanced, 17,142 of the evaluation and 1,738,788 of the unbalanced segments "
        "(huggingface.co/datasets/agkphysics/AudioSet).",
        "The published features (features.tar.gz) are no audio and are not read.",
        "The quality of labels varies by class. VoxCeleb and Kinetics are YouTube too: compare ids.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows of the segments whose media are there, in the order of the lists; groups are videos.

        ``role`` is ``train`` for both training lists and ``test`` for the evaluation list; ``balanced_or_eval`` leaves the
        unbalanced list out.
        """
        _check_classes(folder / "class_labels_indices.csv")
        segments = pd.concat([_segments(folder, split) for split in LISTS], ignore_index=True)
        if (twice := segments["YTID"].duplicated()).any():
            raise DataError(
                f"The lists in {folder} have the video {segments['YTID'][twice].iloc[0]} twice; fetch the dataset again."
            )
        media = _media(folder, segments["YTID"])
        found = segments.assign(path=media)[media != ""].reset_index(drop=True)
        return pd.DataFrame(
            {
                "clip_id": found["YTID"],
                "path": found["path"],
                "group": "youtube:" + found["YTID"],
                "split": found["split"],
                "role": np.where(found["split"] == "eval", "test", "train"),
                "balanced_or_eval": found["split"] != "unbalanced_train",
                "labels": found["labels"],
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """Six of the 527 classes, one or two to a clip, in several containers; some segments have no media."""
        (folder / "class_labels_indices.csv").write_bytes(CLASS_LIST.read_bytes())
        kinds = sound_kinds(len(_STANDIN_CLASSES))
        draw = numpy_stream(seed, self.id, "ids")
        for split, count in _STANDIN_CLIPS.items():
            (folder / "media" / split).mkdir(parents=True)
            lines = []
            for place in range(count):
                name = "".join(draw.choice(_ALPHABET, _ID_LENGTH))
                generator = numpy_stream(seed, self.id, name)
                heard = generator.permutation(len(kinds))[: 1 + int(generator.uniform() < 0.4)]
                labels = ",".join(_STANDIN_CLASSES[kind] for kind in heard)
                start = 10 * int(generator.integers(30))
                lines.append(f'{name}, {start}.000, {start + 10}.000, "{labels}"')
                if generator.uniform() >= _STANDIN_MISSING:
                    seconds = _STANDIN_SECONDS + generator.uniform(0, 0.4)
                    clip = sound_clip(generator, kinds[heard], int(seconds * _RATE), _RATE, spread=_STANDIN_SPREAD)
                    file = _STANDIN_NAMES[place % len(_STANDIN_NAMES)].format(name)
                    write_audio(folder / "media" / split / file, clip, _RATE)
            header = [
                "# Segments csv created by the stand-in",
                f"# num_ytids={count}, num_segs={count}",
                "# YTID, start_seconds, end_seconds, positive_labels",
            ]
            (folder / LISTS[split]).write_text("\n".join([*header, *sorted(lines)]) + "\n", encoding="utf-8")


def _check_classes(file: Path) -> None:
    table = read_metadata(file, ("index", "mid", "display_name"))
    expected = [(str(number), mid, name) for number, (mid, name) in enumerate(NAMES.items())]
    if list(table[["index", "mid", "display_name"]].itertuples(index=False, name=None)) != expected:
        raise DataError(f"{file} is not the official list of 527 classes in its order; fetch the dataset again.")


def _segments(folder: Path, split: str) -> pd.DataFrame:
    """``YTID``, ``split`` and ``labels`` of the segments of one list."""
    file = folder / LISTS[split]
    table = read_metadata(file, _COLUMNS, header=False, skip=_HEADER_LINES)
    if (wrong := ~table["YTID"].str.fullmatch(r"[\w-]{11}")).any():
        raise DataError(f"{file} has {table['YTID'][wrong].iloc[0]!r} where an id should be; fetch the dataset again.")
    labels = translate_labels(table["positive_labels"], NAMES, file)
    return pd.DataFrame({"YTID": table["YTID"], "split": split, "labels": labels})


def _media(folder: Path, ids: pd.Series[str]) -> NDArray[np.object_]:
    """Path of each id's file, empty where there is none."""
    paths = audio_files(folder, "media", MEDIA)
    if not paths:
        raise DataError(f"{folder / 'media'} holds no media; put the segments that you have there.")
    row_of = {name: row for row, name in enumerate(ids)}
    rows = np.array([_row(path, row_of) for path in paths])
    if (stray := rows < 0).any():
        path = paths[int(stray.argmax())]
        raise DataError(f"{folder / path} is named by no video id of the lists; remove it or rename it.")
    if (twice := np.bincount(rows) > 1).any():
        name = ids.iloc[int(twice.argmax())]
        raise DataError(f"{folder / 'media'} holds the video {name} twice; remove one of the files.")
    media = np.full(len(ids), "", dtype=object)
    media[rows] = paths
    return media


def _row(path: str, row_of: dict[str, int]) -> int:
    """Row of the id that a file is named by; -1 if there is none."""
    stem = path[path.rfind("/") + 1 : path.rfind(".")]
    for name in (stem, stem[1:]) if stem.startswith("Y") else (stem,):
        row = row_of.get(name[:_ID_LENGTH], -1)
        if row >= 0 and name[_ID_LENGTH : _ID_LENGTH + 1] in {"", "_"}:
            return row
    return -1


DATASET = AudioSet()
