"""The records that plugins declare: datasets and tasks. Data only, and free of torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd

Access = Literal["open", "form", "login", "user-supplied"]


@dataclass(frozen=True)
class Archive:
    """One file of a dataset's official distribution; None means that no source states it.

    What it holds lies, once extracted, below ``<data root>/<into>``: an archive with the dataset's own top folder extracts
    to the data root itself. A file that is no archive (a CSV) is placed there under its own name.
    """

    file: str
    url: str
    bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None
    source: str = ""
    """Where size and checksums were read."""
    note: str = ""
    mirrors: tuple[str, ...] = ()
    part_of: str = ""
    """Name of the archive that this file is a part of; parts are joined in the order of the record (``x.zip`` for the parts of
    a split zip, ``x.tar.gz`` for plain byte splits). Empty for a whole archive."""
    zenodo: int | None = None
    """Record whose published md5 is read where the record here has no checksum."""
    into: str = ""
    """Folder below the data root to extract to."""
    holds: tuple[str, ...] = ("**",)
    """Glob patterns, relative to the dataset's folder, of what it contributes; stand-ins are packed by it."""


@dataclass(frozen=True)
class FileChecksums:
    """A published list of checksums of the extracted files."""

    url: str
    what: str
    md5: str | None = None
    source: str = ""


class Dataset(ABC):
    """A dataset: where it comes from, how its official layout is read, and how to write a small stand-in of it.

    A module in ``tasks/datasets/`` exposes one instance as ``DATASET``; the module's name is the dataset's id.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    homepage: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    access: ClassVar[Access] = "open"
    archives: ClassVar[tuple[Archive, ...]] = ()
    folder: ClassVar[str]
    """Name of the top folder of the official layout, below the data root."""
    labels: ClassVar[dict[str, tuple[str, ...]]]
    """Label columns of the clips table and their classes in the official, fixed order."""
    multi_labels: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Columns whose cells hold any number of classes, joined by ``|``, and their classes in the official, fixed order."""
    sparse_labels: ClassVar[frozenset[str]] = frozenset()
    """Columns of ``labels`` whose classes are a scale (MIDI pitch), not every step of which need have a clip."""
    standin_classes: ClassVar[dict[str, tuple[str, ...]]] = {}
    """The classes that the stand-in holds, of columns of ``labels`` with too many to hold them all."""
    expected_clips: ClassVar[int]
    expected_splits: ClassVar[dict[str, int]] = {}
    """Clips of each value of ``split`` (or ``fold``), where a source states them."""
    file_checksums: ClassVar[FileChecksums | None] = None
    has_standin: ClassVar[bool] = True
    """Whether there is a synthetic copy; without one a profile of stand-ins leaves its cells "not run"."""
    steps: ClassVar[str] = ""
    """For gated or user-supplied data: the exact steps to get it, as sentences."""
    notes: ClassVar[tuple[str, ...]] = ()
    """Known faults, leaks, and which facts are unverified."""
    known_bad: ClassVar[dict[str, str]] = {}
    """Audio files (``path`` of the clips table) that cannot be decoded, each with its reason; left out and counted."""

    @abstractmethod
    def read(self, folder: Path) -> pd.DataFrame:
        """Read the official metadata below ``folder`` into a clips table; opens no audio.

        Returns a row a clip, in a deterministic order, with the columns

        - ``clip_id`` (str, unique), ``path`` (str, relative to ``folder``, with forward slashes);
        - ``group`` (str): what must not straddle a split, in a namespace shared between datasets
          (``freesound:<id>``, ``fsdd:<speaker>``);
        - ``split`` and ``fold`` where the dataset has them (str);
        - the columns of ``labels`` (str, always one of the classes);
        - booleans that tasks filter on (e.g. ``esc10``).

        Raises:
            DataError: metadata is missing or contradicts itself, or a row has no audio, or audio has no row.
        """

    @abstractmethod
    def write_standin(self, folder: Path, seed: int) -> None:
        """Write a small synthetic copy in the official layout, that :meth:`read` reads as it reads the real one."""


@dataclass(frozen=True)
class Task:
    """A dataset's labels and its splits or folds, and nothing else.

    A module in ``tasks/`` exposes one instance as ``TASK``; the module's name is the task's id.

    Exactly one of ``fold_column`` (each value in turn is the test fold) and ``split_column`` (values ``train``, ``test`` and
    perhaps ``valid``) is set.
    """

    id: str
    title: str
    dataset: str
    label: str
    fold_column: str | None = None
    split_column: str | None = None
    only: str | None = None
    """Boolean column of the clips table that selects the task's clips."""
    group: str = "group"
    """Column whose values must not straddle training, validation and test."""
    kind: Literal["single", "multi", "binary"] = "single"
    """``multi``: ``label`` names a column of ``multi_labels``; ``binary``: two classes, the second of them positive."""
    metric: str = "accuracy"
    """Headline metric, by its id in ``published_results.csv``."""
    expected_training: int | None = None
    """Clips of the training part, where a source states them and pre-training reads it (``audio_of``)."""
    version: int = 1
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if (self.fold_column is None) == (self.split_column is None):
            raise ValueError(f"Task {self.id}: set exactly one of fold_column and split_column.")
