"""Who trains, who validates, who tests: official folds, grouped validation, nested subsets, forbidden clips.

Everything here is a pure function of the clips table, the task and a seed, so all methods see the same clips.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.corpus.store import CHECKSUM
from benchmark.errors import DataError
from benchmark.records import Dataset, Task
from benchmark.seeding import numpy_stream

if TYPE_CHECKING:
    from scipy import sparse

Rows = NDArray[np.int64]
Targets = NDArray[np.integer]
"""Class indices ``(n,)``, or for a multi-label task zeros and ones ``(n, C)``."""

JOIN = "|"
"""Between the classes in a cell of a multi-label column."""

VALIDATION = 0.2
"""Share of each class's training clips that the inner validation part aims at."""

SPLIT_SEED = 0
"""Seed of the inner validation parts: one for the whole project, so that all methods and stages see the same."""

SINGLE = "official"
"""Name of the one fold of a task with a split column."""


@dataclass(frozen=True)
class Fold:
    """One division of a task's clips; rows index the clips table, sorted."""

    name: str
    train: Rows
    valid: Rows
    test: Rows
    dropped: Rows
    """Clips of the official training part left out because their group also occurs in validation or test."""


@dataclass(frozen=True)
class TaskClips:
    """A task's clips with their labels and divisions; ``labels`` and the rows of ``folds`` index ``clips``."""

    task: Task
    clips: pd.DataFrame
    rows: Rows
    """``(n,)`` rows of the corpus."""
    labels: Targets
    classes: tuple[str, ...]
    folds: tuple[Fold, ...]


def task_clips(record: Mapping[str, Any], corpus: pd.DataFrame) -> TaskClips:
    """What of a corpus's clips table ``corpus`` a task takes, by a job's record of it: its fields and official ``classes``."""
    fields = dict(record)
    official = fields.pop("classes")
    task = Task(**fields)
    rows = selected(task, corpus)
    clips = corpus.iloc[rows].reset_index(drop=True)
    classes = present(task, official, clips)
    return TaskClips(task, clips, rows, encode(task, classes, clips), classes, tuple(folds(task, clips, SPLIT_SEED)))


def folds(task: Task, clips: pd.DataFrame, seed: int) -> list[Fold]:
    """The official folds of ``task``, or its one official split, each with a validation part.

    Where the official division has no validation part, about a fifth of the training part becomes one: whole groups,
    drawn by ``seed``, class by class as evenly as groups allow, and never a class's last group. A multi-label clip counts
    for each of its classes; there a class of a single group stays in the training part, and one that nobody trains on is
    scored all the same.

    Training clips that share a group with the test part, or are identical to one of its clips, are left out.

    Raises:
        DataError: a part is empty; or, unless clips have several labels, a class of the test part is not in the training part
            or has too few groups.
    """
    rows = selected(task, clips)
    part = clips[task.fold_column or task.split_column].to_numpy(dtype=object)[rows]
    # several times a fold some of the rows are taken, which is slow for each column
    clips = clips[[column for column in dict.fromkeys((task.label, task.group, CHECKSUM)) if column in clips]]
    if task.split_column is not None:
        train, valid, test = (rows[part == name] for name in ("train", "valid", "test"))
        return [_fold(task, clips, SINGLE, train, valid, test, seed)]
    names = sorted(set(part), key=_natural)
    if len(names) < 2:
        raise DataError(f"Task {task.id} needs clips of at least two folds, and there is only {names}; add the others.")
    nothing = rows[:0]
    return [_fold(task, clips, name, rows[part != name], nothing, rows[part == name], seed) for name in names]


def selected(task: Task, clips: pd.DataFrame) -> Rows:
    """Rows of the task's clips.

    Raises:
        DataError: there are none.
    """
    mask = clips[task.only].to_numpy(bool) if task.only else np.ones(len(clips), bool)
    if not mask.any():
        raise DataError(f"Task {task.id} has no clips in the prepared data; fetch its dataset again.")
    return np.flatnonzero(mask)


def missing_classes(task: Task, dataset: Dataset, present: Container[str], standin: bool) -> list[str]:
    """The task's classes, in the official order, that its data ought to hold and that are not ``present``.

    A task of a subset or of several labels, and a label that is a scale, take the classes they find; a stand-in may state that
    it holds fewer.
    """
    if task.only is not None or task.kind == "multi" or task.label in dataset.sparse_labels:
        return []
    official = dataset.labels[task.label]
    needed = dataset.standin_classes.get(task.label, official) if standin else official
    return [name for name in needed if name not in present]


def classes(task: Task, dataset: Dataset, clips: pd.DataFrame, standin: bool = False) -> tuple[str, ...]:
    """The task's classes in the dataset's official order, as far as its clips have them.

    Raises:
        DataError: one of :func:`missing_classes`.
    """
    official = official_classes(task, dataset)
    names = present(task, official, clips.iloc[selected(task, clips)])
    if missing := missing_classes(task, dataset, names, standin):
        raise DataError(
            f"Task {task.id}: {len(missing)} of {len(official)} classes have no clip, {missing[0]!r} for one; "
            f"fetch all of {dataset.title}."
        )
    return names


def official_classes(task: Task, dataset: Dataset) -> tuple[str, ...]:
    """All classes of the task's label column, in the dataset's order."""
    return (dataset.multi_labels if task.kind == "multi" else dataset.labels)[task.label]


def present(task: Task, official: Sequence[str], clips: pd.DataFrame) -> tuple[str, ...]:
    """Those of the ``official`` classes that some of ``clips`` has."""
    found = {name for names in _names(task, clips) for name in names}
    return tuple(name for name in official if name in found)


def encode(task: Task, names: Sequence[str], clips: pd.DataFrame) -> Targets:
    """Labels of ``clips (n,)`` as indices into ``names (C,)``; of a multi-label task zeros and ones ``(n, C)``."""
    index = {name: number for number, name in enumerate(names)}
    if task.kind == "multi":
        matrix = np.zeros((len(clips), len(names)), np.uint8)
        matrix[_pairs(task, clips, index)] = 1
        return matrix
    return np.array([index[name] for name in clips[task.label]], np.int64)


def labels(task: Task, dataset: Dataset, clips: pd.DataFrame, standin: bool = False) -> Targets:
    """Labels of every clip, counting :func:`classes`: see :func:`encode`; -1, or zeros, for clips that are not the task's."""
    names = classes(task, dataset, clips, standin)
    rows = selected(task, clips)
    own = encode(task, names, clips.iloc[rows])
    every: Targets = np.full((len(clips), *own.shape[1:]), 0 if own.ndim == 2 else -1, own.dtype)
    every[rows] = own
    return every


def _names(task: Task, clips: pd.DataFrame) -> list[tuple[str, ...]]:
    """The classes of every clip."""
    cells = clips[task.label].to_numpy(dtype=object)
    if task.kind != "multi":
        return [(cell,) for cell in cells]
    return [tuple(filter(None, cell.split(JOIN))) for cell in cells]


def _pairs(task: Task, clips: pd.DataFrame, index: dict[str, int]) -> tuple[Rows, Rows]:
    """Clip and class of every label, clip by clip."""
    names = _names(task, clips)
    clip = np.repeat(np.arange(len(names)), [len(own) for own in names])
    return clip, np.array([index[name] for own in names for name in own], np.int64)


def nested_subsets(
    labels: Targets, train_rows: Rows, per_class: int, seed: int, short_classes: Literal["refuse", "whole"] = "refuse"
) -> Rows:
    """``per_class`` training clips of each class, sorted; a smaller subset of the same seed lies within a larger one.

    Multi-label clips are drawn in ``per_class`` rounds: in round r each class, the rarest first, that has fewer than r clips
    so far gets the next of its own in a random order. Each class then has at least ``per_class`` clips.

    Args:
        labels: of every clip, ``(n,)`` or ``(n, C)``.
        train_rows: the clips to draw from.
        per_class: clips a class.
        seed: of the replica.
        short_classes: whether a class with fewer clips is refused or given whole.

    Raises:
        DataError: a class that occurs among ``train_rows`` has fewer clips, and is to be refused.
    """
    rows = np.sort(train_rows)
    own = labels[rows]
    numbers = np.flatnonzero(own.any(axis=0)) if own.ndim == 2 else np.unique(own)
    orders = {}
    for number in numbers:
        clips = rows[own[:, number] > 0 if own.ndim == 2 else own == number]
        if len(clips) < per_class and short_classes == "refuse":
            raise DataError(
                f"Class {number} has {len(clips)} training clips, not {per_class}; choose a smaller train size."
            )
        orders[int(number)] = numpy_stream(seed, "train-subset", int(number)).permutation(clips)
    if own.ndim == 1:
        return np.sort(np.concatenate([order[:per_class] for order in orders.values()]))
    return _in_rounds(labels, orders, per_class)


def random_subset(train_rows: Rows, count: int, seed: int, short: Literal["refuse", "whole"] = "refuse") -> Rows:
    """``count`` training clips of all classes together, sorted; a smaller subset of the same seed lies within a larger one.

    Classes that none of them belongs to are missing from it.

    Raises:
        DataError: there are fewer clips, and they are not to be given whole.
    """
    if len(train_rows) < count and short == "refuse":
        raise DataError(f"There are {len(train_rows)} training clips, not {count}; choose a smaller train size.")
    return np.sort(numpy_stream(seed, "train-subset-total").permutation(np.sort(train_rows))[:count])


def _in_rounds(labels: Targets, orders: dict[int, Rows], rounds: int) -> Rows:
    """Clips of a multi-label subset, sorted; ``orders`` are the clips of each class in the order they are drawn."""
    rarest_first = sorted(orders, key=lambda number: (len(orders[number]), number))
    waiting = {number: iter(orders[number].tolist()) for number in rarest_first}
    chosen: set[int] = set()
    have = np.zeros(labels.shape[1], np.int64)
    for wanted in range(1, rounds + 1):
        for number in rarest_first:
            if have[number] < wanted:
                clip = next((clip for clip in waiting[number] if clip not in chosen), None)
                if clip is None:  # a short class, given whole
                    continue
                chosen.add(clip)
                have += labels[clip]
    return np.array(sorted(chosen), np.int64)


def training_audio(task: Task, clips: pd.DataFrame, evaluated: Iterable[Task]) -> NDArray[np.bool_]:
    """Which clips ``(n,)`` pre-training may hear of the training part of a task with one split.

    Clips that share a source or all samples with a validation or test clip of the ``evaluated`` tasks, which are of the same
    dataset, are not among them.

    Raises:
        DataError: see :func:`folds`.
    """
    [own] = folds(task, clips, SPLIT_SEED)
    scored = [fold for other in (task, *evaluated) for fold in folds(other, clips, SPLIT_SEED)]
    held_out = np.unique(np.concatenate([part for fold in scored for part in (fold.valid, fold.test)]))
    allowed = np.zeros(len(clips), bool)
    allowed[own.train] = True
    return allowed & ~forbidden_rows(clips, [clips.iloc[held_out]])


def forbidden_rows(source: pd.DataFrame, evaluated: Iterable[pd.DataFrame]) -> NDArray[np.bool_]:
    """Which clips ``(n,)`` of ``source`` share a group (recording, speaker) or all samples with an evaluated clip."""
    tables = list(evaluated)
    groups = set().union(*(table["group"] for table in tables))
    return source["group"].isin(groups).to_numpy(bool) | identical_rows(source, tables)


def identical_rows(source: pd.DataFrame, evaluated: Iterable[pd.DataFrame]) -> NDArray[np.bool_]:
    """Which clips ``(n,)`` of ``source`` have the samples of an evaluated clip; none where a table has no checksums."""
    checksums = set().union(*(table[CHECKSUM] for table in evaluated if CHECKSUM in table))
    if CHECKSUM not in source:
        return np.zeros(len(source), bool)
    return source[CHECKSUM].isin(checksums).to_numpy(bool)


def _natural(name: str) -> tuple[bool, int, str]:
    return (not name.isdigit(), int(name) if name.isdigit() else 0, name)


def _fold(task: Task, clips: pd.DataFrame, name: str, train: Rows, valid: Rows, test: Rows, seed: int) -> Fold:
    where = f"Task {task.id}, fold {name}"
    valid_kept = valid[~_shares(task, clips, valid, test)]
    train_kept = train[~_shares(task, clips, train, np.concatenate([valid_kept, test]))]
    dropped = np.concatenate([np.setdiff1d(train, train_kept), np.setdiff1d(valid, valid_kept)])
    if not train_kept.size or not test.size:
        raise DataError(
            f"{where}: the {'test' if train_kept.size else 'training'} part has no clips; fetch the dataset again."
        )
    if not valid_kept.size:
        stream = numpy_stream(seed, "validation", task.id, name)
        train_kept, valid_kept = _inner_split(where, task, clips, train_kept, stream)
    target = clips[task.label].to_numpy(dtype=object)
    if task.kind != "multi" and (unseen := sorted(set(target[test]) - set(target[train_kept]))):
        raise DataError(
            f"{where}: class {str(unseen[0])!r} has test clips and too few training clips; fetch the dataset again."
        )
    return Fold(name, train_kept, valid_kept, test, np.sort(dropped))


def _shares(task: Task, clips: pd.DataFrame, rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """Which of ``rows`` have a group that occurs among ``others``, or the samples of one of them."""
    groups = clips[task.group].to_numpy(dtype=object)
    same_group: NDArray[np.bool_] = np.isin(groups[rows].astype(str), groups[others].astype(str))
    return same_group | identical_rows(clips.iloc[rows], [clips.iloc[others]])


def _inner_split(
    where: str, task: Task, clips: pd.DataFrame, rows: Rows, generator: np.random.Generator
) -> tuple[Rows, Rows]:
    """Training and validation rows; groups are tried in a random order."""
    from scipy import sparse  # loads for a tenth of a second, which every stage would pay

    group_names, group_of = np.unique(clips[task.group].to_numpy(dtype=object)[rows].astype(str), return_inverse=True)
    own = clips.iloc[rows]
    names = sorted({name for of_clip in _names(task, own) for name in of_clip})
    clip, number = _pairs(task, own, {name: index for index, name in enumerate(names)})
    places = (group_of[clip], number)
    counts = sparse.csr_array((np.ones(len(clip), np.int64), places), shape=(len(group_names), len(names)))
    few = np.bincount(counts.indices, minlength=len(names)) < 2
    if few.any() and task.kind != "multi":
        raise DataError(
            f"{where}: class {names[few.argmax()]!r} has a single source to train on, and needs two so that "
            "one can serve for validation; fetch the dataset again."
        )
    taken = _take_groups(counts, generator.permutation(len(group_names)))
    empty = counts[taken].sum(axis=0) == 0
    if not taken.any() or (empty.any() and task.kind != "multi"):
        raise DataError(f"{where}: no source of class {names[empty.argmax()]!r} can be spared for validation.")
    in_valid = taken[group_of]
    return rows[~in_valid], rows[in_valid]


def _take_groups(counts: sparse.csr_array, order: Rows) -> NDArray[np.bool_]:
    """Mask ``(G,)`` of the groups for validation, each taken if that brings the classes closer to their wanted share.

    Args:
        counts: clips a group and class, ``(G, C)``.
        order: in which groups are tried, ``(G,)``.
    """
    wanted = VALIDATION * counts.sum(axis=0)
    taken = np.zeros(counts.shape[0], bool)
    have = np.zeros(counts.shape[1], np.int64)
    left = np.bincount(counts.indices, minlength=counts.shape[1])
    """Groups of each class that are not taken."""

    def row(group: np.integer) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        place = slice(counts.indptr[group], counts.indptr[group + 1])
        return counts.indices[place], counts.data[place]

    def spared(group: np.integer) -> bool:
        return bool((left[row(group)[0]] > 1).all())

    def take(group: np.integer) -> None:
        numbers, clips = row(group)
        taken[group] = True
        have[numbers] += clips
        left[numbers] -= 1

    for group in order:
        numbers, clips = row(group)
        more = have.copy()
        more[numbers] += clips
        if np.abs(more - wanted).sum() < np.abs(have - wanted).sum() and spared(group):
            take(group)
    rank = np.argsort(order)
    for number in np.flatnonzero(have == 0):  # classes whose every group is larger than its share
        column = counts[:, [number]].tocoo()
        candidates = sorted(zip(rank[column.row], column.data, column.row, strict=True))
        fitting = [(clips, group) for _, clips, group in candidates if spared(group)]
        if fitting:
            take(min(fitting, key=lambda pair: pair[0])[1])
    return taken
