"""Reading official layouts: metadata tables and the audio files they list, each fault in one sentence."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmark.errors import DataError


def read_metadata(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV of a dataset as strings, with at least the named ``columns``.

    Raises:
        DataError: the file is missing, does not parse, lacks a column, has no row or leaves one of the columns empty.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; the data folder is incomplete, fetch the dataset again.") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable CSV ({str(error).strip()}); fetch the dataset again.") from error
    if missing := [column for column in columns if column not in table]:
        raise DataError(f"{path} has no column {missing[0]!r}; fetch the dataset again.")
    if table.empty:
        raise DataError(f"{path} lists no clip; fetch the dataset again.")
    for column in columns:
        if (empty := table[column] == "").any():
            raise DataError(f"{path}: row {int(empty.argmax()) + 2} has no {column}; fetch the dataset again.")
    return table


def read_lines(path: Path) -> list[str]:
    """The lines of a dataset's text file, without blanks around them and without empty ones.

    Raises:
        DataError: the file is missing, no text or empty.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; the data folder is incomplete, fetch the dataset again.") from error
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


def audio_files(folder: Path, below: str, suffix: str = ".wav") -> list[str]:
    """Sorted paths, relative to ``folder``, of the files with ``suffix`` anywhere in its folder ``below``.

    Raises:
        DataError: that folder does not exist.
    """
    root = folder / below
    if not root.is_dir():
        raise DataError(f"{root} does not exist; the data folder is incomplete, fetch the dataset again.")
    return sorted(entry.path for entry in walk(root, below) if entry.path.endswith(suffix))


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
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.is_dir():
                yield from walk(Path(entry.path), path)
            else:
                stat = entry.stat()
                yield File(path, stat.st_size, stat.st_mtime_ns)


def _more(paths: list[str]) -> str:
    return f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
