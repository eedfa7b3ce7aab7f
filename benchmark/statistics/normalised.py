"""Normalised accuracy: where a run stands between its Untrained and its Supervised reference (tagliasacchi2020, eq. 1).

Letters in shapes: B resamples, T tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.statistics.bootstrap import Floats, expected_coverage, percentile_interval, task_replicates

SMALLEST_GAP = 0.05
"""Below five points between the references a normalised accuracy says nothing."""
_ROUNDING = 1e-9
"""0.95 - 0.9 is five points, though not in binary."""
PAPER_RESAMPLES = 50
"""Task resamples of tagliasacchi2020, Sec. IV."""
ENOUGH_TASKS = 8
"""With fewer tasks a bootstrap over tasks covers too little (see ``expected_coverage``)."""


@dataclass(frozen=True)
class NormalisedAccuracy:
    """One cell. ``replicates`` is ``(B, 3)``: accuracies of run, Untrained and Supervised, resampled together."""

    run: float
    untrained: float
    supervised: float
    replicates: Floats

    @property
    def gap(self) -> float:
        """Supervised minus Untrained."""
        return self.supervised - self.untrained

    @property
    def gap_interval(self) -> tuple[float, float]:
        """95 % interval of the gap."""
        return percentile_interval(self.replicates[:, 2] - self.replicates[:, 1])

    @property
    def undefined(self) -> str:
        """Why the cell has no value; empty where it has one."""
        if self.gap < SMALLEST_GAP - _ROUNDING:
            return f"the references are {100 * self.gap:.1f} points apart, less than {100 * SMALLEST_GAP:.0f}"
        lower, _ = self.gap_interval
        return "" if lower > 0 else f"the gap between the references may be zero (lower bound {100 * lower:.1f} points)"

    @property
    def value(self) -> float:
        """Equation (1)."""
        return (self.run - self.untrained) / self.gap

    @property
    def values(self) -> Floats:
        """``(B,)`` replicates of equation (1), both references resampled."""
        run, untrained, supervised = self.replicates.T
        gaps = supervised - untrained
        # A resample without any gap says nothing: it takes the ratio to the measured gap instead of dividing by zero.
        values: Floats = (run - untrained) / np.where(gaps == 0.0, self.gap, gaps)
        return values

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the value for the fixed pair of references: seeds x sources."""
        return percentile_interval(self.values)


@dataclass(frozen=True)
class NormalisedMean:
    """Mean over the tasks where the cell is defined; three intervals, of which one is to be quoted."""

    mean: float
    ratio_of_mean_gains: float
    """Sum of gains over sum of gaps, on the same tasks: no single small gap can dominate it."""
    fixed_tasks: tuple[float, float]
    """For this fixed set of tasks: seeds x sources. Cells must share their draws of seeds."""
    over_tasks: tuple[float, float]
    """For tasks like these: tasks x seeds x sources."""
    paper: tuple[float, float]
    """As ``over_tasks`` with the paper's 50 resamples."""
    tasks: int
    coverage: float
    """What ``over_tasks`` really covers of its nominal 95 % at this number of tasks."""

    @property
    def shown(self) -> str:
        """Which interval to quote: with few tasks the one for the fixed set."""
        return "over tasks" if self.tasks >= ENOUGH_TASKS else "fixed tasks"

    @property
    def quoted(self) -> tuple[float, float]:
        """The interval to quote."""
        return self.over_tasks if self.shown == "over tasks" else self.fixed_tasks


def mean_over_tasks(
    cells: Sequence[NormalisedAccuracy], resamples: int, generator: np.random.Generator
) -> NormalisedMean | None:
    """Average defined cells, one a task; None where there are none.

    Row b of all cells' replicates must come from one draw of the run's seeds: one encoder is scored on all tasks, and
    seeds drawn task by task would average out what does not.
    """
    if not cells:
        return None
    replicates = np.stack([cell.values for cell in cells], axis=1)
    return NormalisedMean(
        mean=float(np.mean([cell.value for cell in cells])),
        ratio_of_mean_gains=sum(cell.run - cell.untrained for cell in cells) / sum(cell.gap for cell in cells),
        fixed_tasks=percentile_interval(replicates.mean(axis=1)),
        over_tasks=percentile_interval(task_replicates(replicates, resamples, generator)),
        paper=percentile_interval(task_replicates(replicates, PAPER_RESAMPLES, generator)),
        tasks=len(cells),
        coverage=expected_coverage(len(cells)),
    )
