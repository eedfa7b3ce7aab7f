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
        found = self._index.matching(where)
        if not len(found):
            raise NotEvaluableError(self._nothing(where))
        for column, wanted in where.items():
            if isinstance(wanted, tuple):
                index = self._index.columns[column]
                present = set(index.codes[found].tolist())
                if absent := [value for value in wanted if index.code_of.get(value) not in present]:
                    raise NotEvaluableError(self._nothing({**where, column: absent[0]}))
        return found

    @cached_property
    def _index(self) -> _Index:
        return _Index.of(self.cells)

    @cached_property
    def _index_of_missing(self) -> _Index:
        return _Index.of(self.missing)

    def _nothing(self, where: Mapping[str, Choice]) -> str:
        missing = self._index_of_missing.matching(where)
        if len(missing):
            return f"{described(where)}: {'; '.join(sorted(set(self.missing['reason'].iloc[missing])))}"
        task = where.get("task")
        if isinstance(task, str) and task in self.task_groups:
            return (
                f"{described(where)} matches no score: not all {len(self.task_groups[task])} tasks of the mean were run"
            )
        for column, wanted in where.items():
            if not len(self._index.columns[column].wanted(wanted)):
                return f"{described(where)} matches no score: none has {column}={wanted}"
        return f"{described(where)} matches no score"


def described(where: Mapping[str, Choice]) -> str:
    """A selection in words: its columns and values, without the study and the source."""
    shown = {key: value for key, value in where.items() if key not in {"study", "source"}}
    return ", ".join(f"{key}={value if isinstance(value, str) else '|'.join(value)}" for key, value in shown.items())


@dataclass(frozen=True)
class _Index:
    """Rows by the values of their columns."""

    columns: Mapping[str, _Column]

    @classmethod
    def of(cls, rows: pd.DataFrame) -> _Index:
        return cls({column: _Column.of(rows[column]) for column in IDENTITY})

    def matching(self, where: Mapping[str, Choice]) -> Indices:
        """Rows in ascending order: those of the rarest value first, then filtered column by column."""
        wanted = {column: self.columns[column].wanted(choice) for column, choice in where.items()}
        rarest = min(wanted, key=lambda column: self.columns[column].counts[wanted[column]].sum())
        found = self.columns[rarest].rows(wanted[rarest])
        for column, codes in wanted.items():
            own = self.columns[column].codes[found]
            found = found[own == codes[0]] if len(codes) == 1 else found[np.isin(own, codes)]
        return found


@dataclass(frozen=True)
class _Column:
    """Where the values of a column are: a code for each row, and the rows sorted by code."""

    code_of: dict[str, int]
    codes: Indices
    counts: Indices
    order: Indices
    ends: Indices

    @classmethod
    def of(cls, column: pd.Series[str]) -> _Column:
        codes, values = pd.factorize(column)
        counts = np.bincount(codes, minlength=len(values))
        code_of = {str(value): code for code, value in enumerate(values)}
        return cls(code_of, codes, counts, np.argsort(codes, kind="stable"), np.cumsum(counts))

    def wanted(self, choice: Choice) -> Indices:
        """Codes of the values that occur."""
        values = (choice,) if isinstance(choice, str) else choice
        return np.array([self.code_of[value] for value in values if value in self.code_of], np.int64)

    def rows(self, codes: Indices) -> Indices:
        """Rows with one of the codes, in ascending order."""
        parts = [self.order[self.ends[code] - self.counts[code] : self.ends[code]] for code in codes]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def _groups(rows: pd.DataFrame, columns: Sequence[str]) -> tuple[Indices, Indices]:
    """Group number of each row by equal ``columns``, and the first row of each group."""
    combined = np.zeros(len(rows), np.int64)
    for column in columns:
        codes, values = pd.factorize(rows[column])
        _, combined = np.unique(combined * len(values) + codes, return_inverse=True)
    _, first, group = np.unique(combined, return_index=True, return_inverse=True)
    return group, first
