"""Reading official layouts: metadata tables and the audio files they list, each fault in one sentence."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmark.errors import DataError

MEDIA = (
    *(".wav", ".flac", ".mp3", ".ogg", ".opus", ".aac", ".m4a", ".aiff", ".aif", ".wma"),
    *(".mp4", ".mkv", ".webm", ".mov", ".avi", ".3gp"),
)
"""Suffixes of the containers that are decoded where a dataset fixes none, in lower case."""


def read_metadata(
    path: Path, columns: Sequence[str], separator: str = ",", header: bool = True, skip: int = 0
) -> pd.DataFrame:
    """A CSV of a dataset as strings, with at least the named ``columns``.

    Args:
        path: the file.
        columns: those that must be there, with a value in every row.
        separator: between fields; blanks after it are dropped.
        header: whether a line names the columns; without one they are ``columns``.
        skip: lines to pass over at the top.

    Raises:
        DataError: the file is missing, does not parse, lacks a column, has no row or leaves one of the columns empty.
    """
    try:
        table = pd.read_csv(
            path,
            sep=separator,
            header=0 if header else None,
            skiprows=skip,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            encoding="utf-8",
        )
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; the data folder is incomplete, fetch the dataset again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); fetch the dataset again.") from error
    except ValueError as error:  # parser and decoding errors are such
        fault = " ".join(str(error).split())
        raise DataError(f"{path} is not a readable CSV ({fault}); fetch the dataset again.") from error
    if not isinstance(table.index, pd.RangeIndex) or (not header and table.shape[1] != len(columns)):
        raise DataError(f"{path} has another number of fields than columns; fetch the dataset again.")
    if not header:
        table.columns = pd.Index(columns)
    if missing := [column for column in columns if column not in table]:
        raise DataError(f"{path} has no column {missing[0]!r}; fetch the dataset again.")
    if table.empty:
        raise DataError(f"{path} lists no clip; fetch the dataset again.")
    for column in columns:
        if (empty := table[column].isna() | (table[column] == "")).any():
            line = int(empty.argmax()) + 1 + skip + header
            raise DataError(f"{path}: row {line} has no {column}; fetch the dataset again.")
    return table


def translate_labels(
    cells: pd.Series[str], classes: Mapping[str, str], path: Path, separator: str = ","
) -> pd.Series[str]:
    """Cells that hold several labels, such as ``/m/a,/m/b``, as names of classes joined by ``|``, in the official order.

    Every distinct cell is looked at once, so that millions of rows take seconds.

    Args:
        cells: labels joined by ``separator``.
        classes: name of each label, in the official order.
        path: the file they come from, for the message.
        separator: between the labels of a cell.

    Raises:
        DataError: a label is unknown or occurs twice in a cell.
    """
    order = {label: number for number, label in enumerate(classes)}
    codes, distinct = pd.factorize(cells)
    translated = []
    for cell in distinct:
        labels = cell.split(separator)
        if unknown := [label for label in labels if label not in order]:
            raise DataError(f"{path} has the unknown label {unknown[0]!r}; fetch the dataset again.")
        if len(set(labels)) < len(labels):
            raise DataError(f"{path} has the label {cell!r}, which repeats itself; fetch the dataset again.")
        translated.append("|".join(classes[label] for label in sorted(labels, key=order.__getitem__)))
    return pd.Series(pd.Index(translated, dtype=object).take(codes), index=cells.index)


def check_labels(cells: pd.Series[str], classes: Sequence[str], path: Path) -> None:
    """Check that every one of ``cells`` is one of ``classes``.

    Raises:
        DataError: one is not.
    """
    if (unknown := ~cells.isin(classes)).any():
        raise DataError(f"{path} has the unknown label {cells[unknown].iloc[0]!r}; fetch the dataset again.")


def read_lines(path: Path) -> list[str]:
    """The lines of a dataset's text file, without blanks around them and without empty ones.

    Raises:
        DataError: the file is missing, no text or empty.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; the data folder is incomplete, fetch the dataset again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); fetch the dataset again.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text; fetch the dataset again.") from error
    if not any(lines):
        raise DataError(f"{path} is empty; fetch the dataset again.")
    return [line for line in lines if line]


def match_audio(folder: Path, listed: pd.Series[str], audio: str, suffix: str = ".wav") -> None:
    """Check that the files below ``folder/audio`` are exactly those ``listed`` (paths relative to ``folder``).

    Raises:
        DataError: a file is listed twice, a listed file is not there, or a file is not listed.
    """
    if (twice := listed.duplicated()).any():
        raise DataError(f"The metadata in {folder} lists {listed[twice].iloc[0]} twice; fetch the dataset again.")
    known, found = set(listed), set(audio_files(folder, audio, suffix))
    if missing := sorted(known - found):
        raise DataError(
            f"The metadata in {folder} lists {missing[0]}, which is not there{_more(missing)}; fetch the dataset again."
        )
    if unknown := sorted(found - known):
        raise DataError(
            f"{folder / unknown[0]} has no row in the metadata{_more(unknown)}; remove it or fetch the dataset again."
        )


def audio_files(folder: Path, below: str, suffix: str | tuple[str, ...] = ".wav") -> list[str]:
    """Sorted paths, relative to ``folder``, of the files with ``suffix`` (any case) anywhere in its folder ``below``.

    Args:
        folder: the dataset's own top folder.
        below: a folder in it; empty for all of it.
        suffix: with the dot, in lower case; several for any of them.

    Raises:
        DataError: that folder does not exist.
    """
    root = folder / below
    if not root.is_dir():
        raise DataError(f"{root} does not exist; the data folder is incomplete, fetch the dataset again.")
    return sorted(path for path, _ in _entries(root, below) if path.lower().endswith(suffix))


def shuffled(names: Iterable[str]) -> list[str]:
    """``names`` in the order of their SHA-1: the same everywhere, and a clip's place in it tells no label."""
    return sorted(names, key=lambda name: hashlib.sha1(name.encode(), usedforsecurity=False).digest())


class File(NamedTuple):
    """A file found by :func:`walk`; its path is relative to the root, with forward slashes."""

    path: str
    size: int
    mtime_ns: int


def walk(root: Path, prefix: str = "") -> Iterator[File]:
    """Every file below ``root`` but hidden ones (name with a leading dot), in no particular order."""
    for path, entry in _entries(root, prefix):
        stat = entry.stat()
        yield File(path, stat.st_size, stat.st_mtime_ns)


def _entries(root: Path | str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Path, below ``prefix``, and entry of each of those files; asks the file system for no sizes."""
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.is_dir():
                yield from _entries(entry.path, path)
            else:
                yield path, entry


def _more(paths: list[str]) -> str:
    return f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
