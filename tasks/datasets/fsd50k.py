"""FSD50K: 51,197 Freesound clips tagged with 200 classes of the AudioSet ontology (Fonseca et al. 2022)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    FileChecksums,
    check_labels,
    match_audio,
    numpy_stream,
    read_metadata,
    sound_clip,
    sound_kinds,
    translate_labels,
    write_wav,
)

VOCABULARY = Path(__file__).parent / "lists" / "fsd50k_vocabulary.csv"
"""The official ``vocabulary.csv``: index, class, identifier in the ontology; its md5 is 0caaf9955ca53e358e9ab8f1e6271ba2."""

CLASSES: dict[str, str] = dict(pd.read_csv(VOCABULARY, header=None, usecols=[1, 2]).itertuples(index=False))
"""Identifier in the ontology of each class, in the official order."""

_TRUTH = "FSD50K.ground_truth"
_SPLITS = {"train": "train", "val": "valid"}
_SOURCE = (
    "soundata soundata/datasets/fsd50k.py (read 009ec15e; PyPI soundata 0.1.3); hear-preprocess fsd50k.py; "
    "bytes: public script, two entries agree with another"
)
_DEV = (
    ("z01", 3_221_225_472, "faa7cf4cc076fc34a44a479a5ed862a3"),
    ("z02", 3_221_225_472, "8f9b66153e68571164fb1315d00bc7bc"),
    ("z03", 3_221_225_472, "1196ef47d267a993d30fa98af54b7159"),
    ("z04", 3_221_225_472, "d088ac4e11ba53daf9f7574c11cccac9"),
    ("z05", 3_221_225_472, "81356521aa159accd3c35de22da28c7f"),
    ("zip", 2_306_663_327, "c480d119b8f7a7e32fdb58f3ea4d6c5a"),
)
_EVAL = (
    ("z01", 3_221_225_472, "3090670eaeecc013ca1ff84fe4442aeb"),
    ("zip", 3_037_675_767, "6fa47636c3a3ad5c7dfeba99f2637982"),
)
_RATE = 44_100
_STANDIN_CLASSES = {
    "Bark": ("Bark", "Dog", "Domestic_animals_and_pets", "Animal"),
    "Electric_guitar": ("Electric_guitar", "Guitar", "Plucked_string_instrument", "Musical_instrument", "Music"),
    "Rain": ("Rain", "Water"),
    "Fart": ("Fart", "Human_voice"),
    "Engine_starting": ("Engine_starting", "Engine"),
}
"""What the stand-in's clips sound like, each with its ancestors, as the real labels have them."""
_STANDIN_CLIPS = {"train": 7, "val": 3, "eval": 5}


def _archive(name: str, size: int, md5: str, part_of: str = "", *holds: str) -> Archive:
    url = f"https://zenodo.org/record/4060432/files/{name}?download=1"
    return Archive(name, url, size, md5, source=_SOURCE, part_of=part_of, zenodo=4_060_432, into="FSD50K", holds=holds)


def _parts(name: str, parts: tuple[tuple[str, int, str], ...]) -> list[Archive]:
    return [_archive(f"{name}.{end}", size, md5, f"{name}.zip", f"{name}/*") for end, size, md5 in parts]


class Fsd50k(Dataset):
    """Audio in two folders, labels in ``FSD50K.ground_truth``; file names are Freesound ids, without suffix in the CSV."""

    id = "fsd50k"
    title = "FSD50K"
    homepage = "https://zenodo.org/record/4060432"
    licence = "CC BY 4.0 (clips: CC0, CC BY, CC BY-NC or CC Sampling+ each)"
    citation = (
        "E. Fonseca, X. Favory, J. Pons, F. Font, X. Serra. FSD50K: an Open Dataset of Human-Labeled Sound Events. "
        "IEEE/ACM TASLP 30, 2022, 829-852."
    )
    archives = (
        *_parts("FSD50K.dev_audio", _DEV),
        *_parts("FSD50K.eval_audio", _EVAL),
        _archive("FSD50K.ground_truth.zip", 334_701, "ca27382c195e37d2269c4c866dd73485", "", f"{_TRUTH}/*"),
        _archive("FSD50K.metadata.zip", 6_700_838, "b9ea0c829a411c1d42adb9da539ed237"),
        _archive("FSD50K.doc.zip", 6_984, "3516162b82dc2945d3e7feba0904e800"),
    )
    folder = "FSD50K"
    labels = {}  # noqa: RUF012 (a ClassVar of the base)
    multi_labels = {"labels": tuple(CLASSES)}  # noqa: RUF012
    expected_clips = 51_197
    expected_splits = {"train": 36_796, "valid": 4_170, "test": 10_231}  # noqa: RUF012
    file_checksums = FileChecksums(
        url="https://zenodo.org/records/11176815/files/fsd50k_index_1.0.json",
        what="md5 of each of the 51197 wav",
        md5="3317c25426cb3f539eea2b94651c14ba",
        source="soundata soundata/datasets/fsd50k.py (read 009ec15e; PyPI soundata 0.1.3)",
    )
    notes = (
        "Labels include all ancestors in the ontology, as published.",
        "26 pairs of clips are byte-identical: 20 in the training part, 2 in the validation part, 2 in the evaluation part, "
        "1 across training and validation, 1 across training and evaluation.",
        "Sources shared with other sets: 459 clips of ESC-50 and 877 of UrbanSound8K come from a recording that is in the "
        "development part; 927 of the 947 test clips of FSDnoisy18k are in FSD50K.",
        "lin2022 pre-trains on FSD50K and does not say on which part of it.",
        "The committed vocabulary was compared by md5 with a copy of the ground truth, not with the archive itself.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in the order of ``dev.csv`` and ``eval.csv``; groups are Freesound ids."""
        _check_vocabulary(folder / _TRUTH / "vocabulary.csv")
        parts = [
            self._part(folder, "dev", ("fname", "labels", "split")),
            self._part(folder, "eval", ("fname", "labels")),
        ]
        clips = pd.concat(parts, ignore_index=True)
        if (twice := clips["clip_id"].duplicated()).any():
            raise DataError(
                f"{folder / _TRUTH} lists the clip {clips['clip_id'][twice].iloc[0]} twice; fetch the dataset again."
            )
        return clips

    def _part(self, folder: Path, part: str, columns: tuple[str, ...]) -> pd.DataFrame:
        file = folder / _TRUTH / f"{part}.csv"
        table = read_metadata(file, columns)
        audio = f"FSD50K.{part}_audio"
        paths = audio + "/" + table["fname"] + ".wav"
        match_audio(folder, paths, audio)
        split = table["split"] if part == "dev" else pd.Series("test", table.index)
        if part == "dev":
            check_labels(split, tuple(_SPLITS), file)
        return pd.DataFrame(
            {
                "clip_id": table["fname"],
                "path": paths,
                "group": "freesound:" + table["fname"],
                "split": split.replace(_SPLITS),
                "labels": translate_labels(table["labels"], {name: name for name in CLASSES}, file),
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """Five sounds of the 200, one or two to a clip, with all their ancestors as labels."""
        kinds = dict(zip(_STANDIN_CLASSES, sound_kinds(len(_STANDIN_CLASSES)), strict=True))
        sources = iter(numpy_stream(seed, self.id, "sources").permutation(np.arange(100_000, 130_000)).tolist())
        tables: dict[str, list[list[object]]] = {"dev": [], "eval": []}
        for part in tables:
            (folder / f"FSD50K.{part}_audio").mkdir()
        for split, clips in _STANDIN_CLIPS.items():
            part = "eval" if split == "eval" else "dev"
            for sound in [sound for sound in _STANDIN_CLASSES for _ in range(clips)]:
                source = next(sources)
                generator = numpy_stream(seed, self.id, source)
                others = [other for other in _STANDIN_CLASSES if other != sound]
                heard = [sound, *generator.choice(others, size=int(generator.uniform() < 0.3), replace=False)]
                labels = list(dict.fromkeys(label for name in heard for label in _STANDIN_CLASSES[name]))
                samples = int(generator.uniform(0.3, 1) * _RATE)
                clip = sound_clip(generator, np.stack([kinds[name] for name in heard]), samples, _RATE)
                write_wav(folder / f"FSD50K.{part}_audio" / f"{source}.wav", clip, _RATE)
                mids = ",".join(CLASSES[label] for label in labels)
                tables[part].append([source, ",".join(labels), mids, split][: 4 if part == "dev" else 3])
        _write_truth(folder / _TRUTH, tables)


def _check_vocabulary(file: Path) -> None:
    table = read_metadata(file, ("index", "name", "mid"), header=False)
    expected = [(str(number), name, mid) for number, (name, mid) in enumerate(CLASSES.items())]
    if list(table.itertuples(index=False, name=None)) != expected:
        raise DataError(f"{file} is not the official list of 200 classes in its order; fetch the dataset again.")


def _write_truth(folder: Path, tables: dict[str, list[list[object]]]) -> None:
    folder.mkdir()
    (folder / "vocabulary.csv").write_bytes(VOCABULARY.read_bytes())
    for part, rows in tables.items():
        columns = ["fname", "labels", "mids", "split"][: 4 if part == "dev" else 3]
        pd.DataFrame(rows, columns=columns).sort_values("fname").to_csv(folder / f"{part}.csv", index=False)


DATASET = Fsd50k()
