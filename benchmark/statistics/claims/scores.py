"""A score table as cells, and how a selector finds its cell; one axis (seeds, resamples, or one printed number) is kept.

Letters in shapes: C cells, K entries of the axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.statistics.bootstrap import Floats
from benchmark.statistics.claims.grammar import COLUMNS, Choice

IDENTITY = ("study", "source", *COLUMNS)
"""What makes two scores the same cell; everything else (run, fold, head seed) is averaged."""
Indices = NDArray[np.int64]


class NotEvaluableError(Exception):
    """A selector matches no score, or several; caught where a statement becomes unknown, with this as its reason."""


@dataclass(frozen=True)
class ScoreTable:
    """Cells and their values.

    Attributes:
        cells: ``C`` rows with the columns of :data:`IDENTITY` and ``unit`` (fraction, percent or none).
        values: ``(C, K)``; nan where a cell lacks an entry.
        axis: ``K`` labels of the entries: pre-training seeds, say.
        missing: rows of :data:`IDENTITY` and ``reason``: cells that were asked for and not run.
        task_groups: name of a group of tasks -> the tasks whose mean stands for it.
    """

    cells: pd.DataFrame
    values: Floats
    axis: tuple[str, ...]
    missing: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*IDENTITY, "reason"]))
    task_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_rows(cls, rows: pd.DataFrame, axis: str) -> ScoreTable:
        """The table of tidy rows, one a run and score: rows of a cell with equal ``axis`` are averaged.

        Args:
            rows: columns of :data:`IDENTITY`, ``unit``, ``value`` and ``axis``.
            axis: the column that is kept apart, sorted.
        """
        cell, first = _groups(rows, [*IDENTITY, "unit"])
        entry, labels = pd.factorize(rows[axis], sort=True)
        flat, size = cell * len(labels) + entry, len(first) * len(labels)
        counts = np.bincount(flat, minlength=size)
        sums = np.bincount(flat, weights=rows["value"].to_numpy(float), minlength=size)
        values = np.full(size, np.nan)
        np.divide(sums, counts, out=values, where=counts > 0)
        cells = rows.iloc[first][[*IDENTITY, "unit"]].reset_index(drop=True)
        return cls(cells, values.reshape(len(first), len(labels)), tuple(str(label) for label in labels))

    def with_groups(self, task_groups: Mapping[str, tuple[str, ...]]) -> ScoreTable:
        """The table with a cell for each group of tasks, the mean over its tasks, wherever all of them have a score."""
        cells, values = [self.cells], [self.values]
        others = [column for column in self.cells.columns if column != "task"]
        for name, tasks in task_groups.items():
            own = np.flatnonzero(self.cells["task"].isin(tasks))
            group, first = _groups(self.cells.iloc[own], others)
            complete = np.bincount(group, minlength=len(first)) == len(tasks)
            sums = np.zeros((len(first), self.values.shape[1]))
            np.add.at(sums, group, self.values[own])
            cells.append(self.cells.iloc[own[first[complete]]].assign(task=name))
            values.append(sums[complete] / len(tasks))
        joined = pd.concat(cells, ignore_index=True)
        return replace(self, cells=joined, values=np.concatenate(values), task_groups=task_groups)

    def select(self, where: Mapping[str, Choice]) -> Indices:
        """Cells that match ``where`` (column -> value, or any of several).

        Raises:
            NotEvaluableError: there is none, or none for one of several listed values.
        """
        found = self._matching(where)
        if not len(found):
            raise NotEvaluableError(self._nothing(where))
        for column, wanted in where.items():
            if isinstance(wanted, tuple):
                present = set(self.cells[column].to_numpy()[found])
                if absent := [value for value in wanted if value not in present]:
                    raise NotEvaluableError(self._nothing({**where, column: absent[0]}))
        return found

    def _matching(self, where: Mapping[str, Choice]) -> Indices:
        found: Indices | None = None
        for column, wanted in where.items():
            choices = (wanted,) if isinstance(wanted, str) else wanted
            parts = [self._index[column].get(value, _NOTHING) for value in choices]
            matching = parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))
            found = matching if found is None else np.intersect1d(found, matching, assume_unique=True)
            if not len(found):
                break
        return np.arange(len(self.cells)) if found is None else found

    @cached_property
    def _index(self) -> dict[str, dict[str, Indices]]:
        """Column -> value -> cells in ascending order."""
        return {column: _positions(self.cells[column]) for column in IDENTITY}

    def _nothing(self, where: Mapping[str, Choice]) -> str:
        keep = np.ones(len(self.missing), bool)
        for column, wanted in where.items():
            keep &= self.missing[column].isin([wanted] if isinstance(wanted, str) else wanted).to_numpy(bool)
        if keep.any():
            return f"{described(where)}: {'; '.join(sorted(set(self.missing['reason'][keep])))}"
        task = where.get("task")
        if isinstance(task, str) and task in self.task_groups:
            return (
                f"{described(where)} matches no score: not all {len(self.task_groups[task])} tasks of the mean were run"
            )
        for column, wanted in where.items():
            if not any(value in self._index[column] for value in ([wanted] if isinstance(wanted, str) else wanted)):
                return f"{described(where)} matches no score: none has {column}={wanted}"
        return f"{described(where)} matches no score"


def described(where: Mapping[str, Choice]) -> str:
    """A selection in words: its columns and values, without the study and the source."""
    shown = {key: value for key, value in where.items() if key not in {"study", "source"}}
    return ", ".join(f"{key}={value if isinstance(value, str) else '|'.join(value)}" for key, value in shown.items())


_NOTHING: Indices = np.empty(0, np.int64)


def _positions(column: pd.Series[str]) -> dict[str, Indices]:
    codes, values = pd.factorize(column)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(values)))
    return (
        {str(value): part for value, part in zip(values, np.split(order, ends[:-1]), strict=True)} if len(codes) else {}
    )


def _groups(rows: pd.DataFrame, columns: Sequence[str]) -> tuple[Indices, Indices]:
    """Group number of each row by equal ``columns``, and the first row of each group."""
    combined = np.zeros(len(rows), np.int64)
    for column in columns:
        codes, values = pd.factorize(rows[column])
        _, combined = np.unique(combined * len(values) + codes, return_inverse=True)
    _, first, group = np.unique(combined, return_index=True, return_inverse=True)
    return group, first
