"""How far a score may move by noise alone, in test clips: measured from runs that differ in nothing but numerics or seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

EXACT = 0.0
LEAST = 1.0
"""A single test clip on the decision boundary may always flip."""
LARGEST = 2.0
"""The largest of a few measured movements is not the largest there can be."""
SPREAD = 4.0
"""Standard deviations of the noise of all tasks: what few movements on one task may by chance not show."""
ENOUGH = 5
"""Perturbations from which on the spread of a run is taken from its own movements alone."""
ROUNDING = 1e-9
"""Of test clips, from adding fractions."""

Kind = Literal["numerical", "seed"]
Movements = tuple[Kind, pd.DataFrame]
"""A perturbed run's kind; ``name``, ``task``, ``protocol``, ``metric``, ``clips`` and ``moved`` (test clips) of its cells."""


@dataclass(frozen=True)
class ToleranceRow:
    """A row of ``tolerance.csv``: what was measured of one run on one task under one protocol by one metric."""

    kind: str
    """``numerical``: other threads and instruction sets, as another machine has; ``seed``: another seed."""
    name: str
    task: str
    protocol: str
    metric: str
    trained: bool
    """Whether the run has pre-training."""
    perturbations: int
    movements: int
    """Of single cells."""
    clips: int
    """Test clips of a cell."""
    largest: float
    """Test clips."""
    root_mean_square: float
    """Test clips."""


@dataclass(frozen=True)
class Tolerance:
    """The measured spreads of a reference."""

    rows: tuple[ToleranceRow, ...] = ()

    def limit(self, kind: str, name: str, task: str, protocol: str, metric: str, trained: bool, clips: int) -> float:
        """Test clips that a cell of ``clips`` test clips may move.

        The largest of: one clip; twice the largest movement measured of the cell; four times the standard deviation of the
        run's movements under the protocol by the metric, which are taken to grow as the root of the clips. Where a run was
        measured fewer than five times, of all runs that are trained, or are not, as it is; a protocol or metric that was
        not measured, that of all.

        Returns:
            0 where nothing was measured of this kind, or the comparison is exact.
        """
        rows = [row for row in self.rows if row.kind == kind]
        here = (name, task, protocol, metric)
        largest = [row.largest for row in rows if (row.name, row.task, row.protocol, row.metric) == here]
        enough = any(row.name == name and row.perturbations >= ENOUGH for row in rows)
        known = {"trained": trained, **({"name": name} if enough else {}), "protocol": protocol, "metric": metric}
        for column, value in known.items():
            rows = [row for row in rows if getattr(row, column) == value] or rows
        if not rows:
            return EXACT
        per_clip = sum(row.movements * row.root_mean_square**2 / row.clips for row in rows)
        spread = math.sqrt(per_clip / sum(row.movements for row in rows) * clips)
        return max(LEAST, LARGEST * max(largest, default=0.0), SPREAD * spread)

    def updated(self, other: Tolerance) -> Tolerance:
        """With the runs that ``other`` measured replaced."""
        measured = {row.name for row in other.rows}
        kept = [row for row in self.rows if row.name not in measured]
        return Tolerance(tuple(sorted([*kept, *other.rows], key=_order)))


def _order(row: ToleranceRow) -> tuple[str, ...]:
    return row.kind, row.name, row.task, row.protocol, row.metric


def measure(movements: Sequence[Movements], trained: Mapping[str, bool]) -> Tolerance:
    """The tolerance from the movements of perturbed runs; ``trained`` says by run name whether it has pre-training."""
    tables = [table.assign(kind=kind, perturbation=number) for number, (kind, table) in enumerate(movements)]
    if not tables:
        return Tolerance()
    cells = pd.concat(tables, ignore_index=True)
    cells = cells.assign(trained=cells["name"].map(trained).astype(bool), square=cells["moved"] ** 2)
    groups = cells.assign(size=cells["moved"].abs()).groupby(["kind", "name", "task", "protocol", "metric"], sort=True)
    return Tolerance(tuple(_row(*map(str, key), cells=rows) for key, rows in groups))


def _row(kind: str, name: str, task: str, protocol: str, metric: str, *, cells: pd.DataFrame) -> ToleranceRow:
    return ToleranceRow(
        kind,
        name,
        task,
        protocol,
        metric,
        trained=bool(cells["trained"].all()),
        perturbations=int(cells["perturbation"].nunique()),
        movements=len(cells),
        clips=int(cells["clips"].max()),
        largest=float(cells["size"].max()),
        root_mean_square=float(cells["square"].mean() ** 0.5),
    )


def beyond_the_others(movements: Sequence[Movements], trained: Mapping[str, bool]) -> list[int | None]:
    """For each perturbed run the cells that moved beyond the tolerance measured without it, from the others of its kind.

    None where there is no other.
    """
    counts: list[int | None] = []
    for number, (kind, table) in enumerate(movements):
        others = [other for place, other in enumerate(movements) if place != number and other[0] == kind]
        if not others:
            counts.append(None)
            continue
        tolerance = measure(others, trained)
        keys = table[["name", "task", "protocol", "metric"]].astype(str).itertuples(index=False, name=None)
        limits = [
            tolerance.limit(kind, name, task, protocol, metric, trained[name], clips)
            for (name, task, protocol, metric), clips in zip(keys, table["clips"], strict=True)
        ]
        counts.append(int((table["moved"].abs().to_numpy() > np.array(limits) + ROUNDING).sum()))
    return counts
