"""Who trains, who validates, who tests: official folds, grouped validation, nested subsets, forbidden clips.

Everything here is a pure function of the clips table, the task and a seed, so all methods see the same clips.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.errors import DataError
from benchmark.records import Dataset, Task
from benchmark.seeding import numpy_stream

Rows = NDArray[np.int64]

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


def folds(task: Task, clips: pd.DataFrame, seed: int) -> list[Fold]:
    """The official folds of ``task``, or its one official split, each with a validation part.

    Where the official division has no validation part, about a fifth of the training part becomes one: whole groups,
    drawn by ``seed``, class by class as evenly as groups allow, and never a class's last group.

    Raises:
        DataError: a part is empty, a class of the test part is not in the training part, or a class has too few groups.
    """
    rows = selected(task, clips)
    part = clips[task.fold_column or task.split_column].to_numpy(dtype=object)[rows]
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

    A task of a subset and a label that is a scale take the classes they find; a stand-in may state that it holds fewer.
    """
    if task.only is not None or task.label in dataset.sparse_labels:
        return []
    official = dataset.labels[task.label]
    needed = dataset.standin_classes.get(task.label, official) if standin else official
    return [name for name in needed if name not in present]


def classes(task: Task, dataset: Dataset, clips: pd.DataFrame, standin: bool = False) -> tuple[str, ...]:
    """The task's classes in the dataset's official order, as far as its clips have them.

    Raises:
        DataError: one of :func:`missing_classes`.
    """
    found = set(clips[task.label].to_numpy(dtype=object)[selected(task, clips)])
    official = dataset.labels[task.label]
    if missing := missing_classes(task, dataset, found, standin):
        raise DataError(
            f"Task {task.id}: {len(missing)} of {len(official)} classes have no clip, {missing[0]!r} for one; "
            f"fetch all of {dataset.title}."
        )
    return tuple(name for name in official if name in found)


def labels(task: Task, dataset: Dataset, clips: pd.DataFrame, standin: bool = False) -> Rows:
    """Class index of every clip ``(n,)``, counting :func:`classes`; -1 for clips that are not the task's."""
    index = {name: number for number, name in enumerate(classes(task, dataset, clips, standin))}
    numbers = np.full(len(clips), -1, np.int64)
    rows = selected(task, clips)
    numbers[rows] = [index[name] for name in clips[task.label].iloc[rows]]
    return numbers


def nested_subsets(labels: Rows, train_rows: Rows, per_class: int, seed: int) -> Rows:
    """``per_class`` training clips of each class, sorted; a smaller subset of the same seed lies within a larger one.

    Args:
        labels: class index of every clip.
        train_rows: the clips to draw from.
        per_class: clips a class.
        seed: of the replica.

    Raises:
        DataError: a class has fewer clips.
    """
    chosen = []
    for number in np.unique(labels[train_rows]):
        rows = np.sort(train_rows[labels[train_rows] == number])
        if len(rows) < per_class:
            raise DataError(
                f"Class {number} has {len(rows)} training clips, not {per_class}; choose a smaller train size."
            )
        chosen.append(numpy_stream(seed, "train-subset", int(number)).permutation(rows)[:per_class])
    return np.sort(np.concatenate(chosen))


def forbidden_rows(source: pd.DataFrame, evaluated: Iterable[pd.DataFrame]) -> NDArray[np.bool_]:
    """Which clips ``(n,)`` of ``source`` share a group (recording, speaker) with an evaluated clip, or are one."""
    groups = set().union(*(table["group"] for table in evaluated))
    return source["group"].isin(groups).to_numpy(bool)


def _natural(name: str) -> tuple[bool, int, str]:
    return (not name.isdigit(), int(name) if name.isdigit() else 0, name)


def _fold(task: Task, clips: pd.DataFrame, name: str, train: Rows, valid: Rows, test: Rows, seed: int) -> Fold:
    where = f"Task {task.id}, fold {name}"
    groups, target = clips[task.group].to_numpy(dtype=object), clips[task.label].to_numpy(dtype=object)
    valid_kept = valid[~_shares(groups, valid, test)]
    train_kept = train[~_shares(groups, train, np.concatenate([valid_kept, test]))]
    dropped = np.concatenate([np.setdiff1d(train, train_kept), np.setdiff1d(valid, valid_kept)])
    if not train_kept.size or not test.size:
        raise DataError(
            f"{where}: the {'test' if train_kept.size else 'training'} part has no clips; fetch the dataset again."
        )
    if not valid_kept.size:
        train_kept, valid_kept = _inner_split(
            where, groups, target, train_kept, numpy_stream(seed, "validation", task.id, name)
        )
    if unseen := sorted(set(target[test]) - set(target[train_kept])):
        raise DataError(
            f"{where}: class {str(unseen[0])!r} has test clips and too few training clips; fetch the dataset again."
        )
    return Fold(name, train_kept, valid_kept, test, np.sort(dropped))


def _shares(groups: NDArray[np.object_], rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """Which of ``rows`` have a group that occurs among ``others``."""
    return np.isin(groups[rows].astype(str), groups[others].astype(str))


def _inner_split(
    where: str, groups: NDArray[np.object_], target: NDArray[np.object_], rows: Rows, generator: np.random.Generator
) -> tuple[Rows, Rows]:
    """Training and validation rows; groups are tried in a random order."""
    group_names, group_of = np.unique(groups[rows].astype(str), return_inverse=True)
    class_names, class_of = np.unique(target[rows].astype(str), return_inverse=True)
    counts = np.zeros((len(group_names), len(class_names)), np.int64)
    np.add.at(counts, (group_of, class_of), 1)
    if (few := (counts > 0).sum(axis=0) < 2).any():
        raise DataError(
            f"{where}: class {str(class_names[few][0])!r} has a single source to train on, and needs two so that "
            "one can serve for validation; fetch the dataset again."
        )
    taken = _take_groups(counts, generator.permutation(len(group_names)))
    if (empty := counts[taken].sum(axis=0) == 0).any():
        raise DataError(f"{where}: no source of class {str(class_names[empty][0])!r} can be spared for validation.")
    in_valid = taken[group_of]
    return rows[~in_valid], rows[in_valid]


def _take_groups(counts: Rows, order: Rows) -> NDArray[np.bool_]:
    """Mask ``(G,)`` of the groups for validation, each taken if that brings the classes closer to their wanted share.

    Args:
        counts: clips a group and class, ``(G, C)``.
        order: in which groups are tried, ``(G,)``.
    """
    wanted = VALIDATION * counts.sum(axis=0)
    taken = np.zeros(len(counts), bool)

    def spared(group: int) -> bool:
        left = (counts[~taken] > 0).sum(axis=0) - (counts[group] > 0)
        return bool((left > 0).all())

    for group in order:
        have = counts[taken].sum(axis=0)
        closer = np.abs(have + counts[group] - wanted).sum() < np.abs(have - wanted).sum()
        if closer and spared(group):
            taken[group] = True
    for number in np.flatnonzero(counts[taken].sum(axis=0) == 0):  # classes whose every group is larger than its share
        candidates = [group for group in order if counts[group, number] and spared(group)]
        if candidates:
            taken[min(candidates, key=lambda group: counts[group, number])] = True
    return taken
