"""A folder of audio with a table of labels: the user's own data as a dataset, see ``benchmark add-audio``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar
from urllib.parse import quote

import pandas as pd

from benchmark.artifacts import content_hash
from benchmark.corpus.layout import MEDIA, audio_files
from benchmark.corpus.splits import JOIN
from benchmark.errors import DataError
from benchmark.records import Dataset

PARTS = ("train", "valid", "test")
SEPARATORS = (",", ";", "\t")
_NAMESPACE = re.compile(r"[a-z0-9_]+:.+")


class LabelledFolder(Dataset):
    """Audio below a folder, and a CSV in it with a row a file; a generated module states the rest.

    The CSV must be the one that was checked: its hash is part of the record, so that no score is made from other labels.
    """

    homepage = "the user's own"
    licence = "not stated"
    citation = "The user's own."
    access = "user-supplied"
    has_standin = False
    table: ClassVar[str]
    """The CSV's path below the folder."""
    table_sha256: ClassVar[str]
    columns: ClassVar[dict[str, str]]
    """The CSV's columns: ``file``, ``label`` and perhaps ``split`` or ``fold``, and ``group``."""
    join: ClassVar[str] = ""
    """What separates the labels of one cell, where a file has several."""
    made_folds: ClassVar[int] = 0
    """Number of folds that are made here, of a CSV that has none."""

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in the CSV's order; the clip's id is its path."""
        path = folder / self.table
        if not path.is_file():
            raise DataError(f"{path} does not exist; put the folder {self.folder} back, or add it again.")
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.table_sha256:
            raise DataError(
                f"{path} is not the table that was checked; run `benchmark add-audio` with --replace on it again."
            )
        table = read_table(path, self.columns)
        check_files(folder, table["file"], path)
        return clips_table(self.id, table, self.join, self.made_folds)

    def write_standin(self, folder: Path, seed: int) -> None:
        """There is none.

        Raises:
            DataError: always.
        """
        raise DataError(f"{self.id} has no stand-in; select a profile with real data.")


def read_table(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """The named ``columns`` of a CSV (UTF-8, separated by commas, semicolons or tabs) as strings, under their roles.

    Args:
        path: the file.
        columns: role (``file``, ``label``, ``split``, ``fold``, ``group``) to the name of its column.

    Raises:
        DataError: it is missing, no UTF-8, does not parse, lacks a column or has an empty or unprintable cell in one.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); name the table of labels.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    header = text.partition("\n")[0]
    separator = max(SEPARATORS, key=header.count)
    try:
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except ValueError as error:  # parser errors are such
        raise DataError(f"{path} is not a readable CSV ({' '.join(str(error).split())}); mend it.") from error
    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(f"{path} has rows with more fields than the header; quote fields that hold a {separator!r}.")
    if missing := [name for name in columns.values() if name not in table]:
        raise DataError(f"{path} has no column {missing[0]!r}; it has {', '.join(map(repr, table.columns))}.")
    if table.empty:
        raise DataError(f"{path} has no row; give each file one.")
    table = pd.DataFrame({role: table[name].fillna("").str.strip() for role, name in columns.items()})
    for role in columns:
        if (bad := (table[role] == "") | ~table[role].map(str.isprintable)).any():
            raise DataError(
                f"{path}: row {int(bad.argmax()) + 2} has an empty or unprintable {columns[role]}; fill it in."
            )
    return table


def check_files(folder: Path, files: pd.Series[str], path: Path) -> None:
    """Check that ``files`` are below ``folder``, each once, and that no other audio is.

    Raises:
        DataError: the first fault of each kind, and how many there are.
    """
    faults = list(file_faults(folder, files))
    if faults:
        raise DataError(f"{path}: {faults[0]}.")


def file_faults(folder: Path, files: pd.Series[str]) -> list[str]:
    """What is wrong between a table's ``files`` and the audio below ``folder``, a phrase a kind of fault."""
    outside = [file for file in files if not _is_below(file)]
    found = set(audio_files(folder, "", MEDIA))
    kinds = {
        "leads out of the folder or is no plain relative path": outside,
        "has more than one row": list(files[files.duplicated()]),
        "has a row and is not there": sorted(set(files) - found - set(outside)),
        "is there and has no row": sorted(found - set(files)),
    }
    return [
        f"{names[0]!r} {kind}" + (f", and so {len(names) - 1} more" if len(names) > 1 else "")
        for kind, names in kinds.items()
        if names
    ]


def _is_below(file: str) -> bool:
    path = PurePosixPath(file)
    return not (path.is_absolute() or ".." in path.parts or "\\" in file or path.as_posix() != file)


def clips_table(name: str, table: pd.DataFrame, join: str, made_folds: int) -> pd.DataFrame:
    """The clips table of a table under its roles.

    A group such as ``freesound:1234`` stays as it is, so that it is compared with other datasets' sources; any other belongs to
    this dataset alone.
    """
    group = table["group"] if "group" in table else table["file"]
    clips = pd.DataFrame(
        {
            "clip_id": table["file"],
            "path": table["file"],
            "group": [own if _NAMESPACE.fullmatch(own) else f"{name}:{quote(own)}" for own in group],
            "label": _labels(table["label"], join),
        }
    )
    for column in ("split", "fold"):
        if column in table:
            clips[column] = table[column]
    if made_folds:
        clips["fold"] = grouped_folds(clips["group"].tolist(), clips["label"].tolist(), made_folds)
    return clips


def _labels(cells: pd.Series[str], join: str) -> pd.Series[str]:
    if not join:
        return cells
    return cells.map(lambda cell: JOIN.join(sorted({name.strip() for name in cell.split(join)} - {""})))


def grouped_folds(groups: Sequence[str], labels: Sequence[str], folds: int, seed: int = 0) -> list[str]:
    """A fold, ``1`` to ``folds``, for each clip, with whole groups in one fold and classes spread as evenly as these allow.

    The largest groups go first, those of one size in an order that only their names and ``seed`` decide; each goes to the fold
    that has the fewest clips of its classes so far, then the fewest clips.
    """
    members: dict[str, list[str]] = {}
    for group, label in zip(groups, labels, strict=True):
        members.setdefault(group, []).extend(label.split(JOIN))
    order = sorted(members, key=lambda group: (-len(members[group]), content_hash([seed, group])))
    have: list[dict[str, int]] = [{} for _ in range(folds)]
    chosen = {}
    for group in order:
        loads = [(sum(own.get(label, 0) for label in members[group]), sum(own.values())) for own in have]
        fold = loads.index(min(loads))
        chosen[group] = str(fold + 1)
        for label in members[group]:
            have[fold][label] = have[fold].get(label, 0) + 1
    return [chosen[group] for group in groups]
