"""Accuracies, comparisons with Untrained and normalised accuracies of one study.

Each row draws from a stream named after its cell, so that adding a run or a task changes no other row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.jobs import ReportJob
from benchmark.seeding import numpy_stream
from benchmark.statistics.bootstrap import Floats, percentile_interval, unit_shares
from benchmark.statistics.cells import Cell, CellKey, joint_replicates
from benchmark.statistics.families import Family, StudyResults, protocol_of_reference
from benchmark.statistics.normalised import NormalisedAccuracy, mean_over_tasks
from benchmark.statistics.paired import clustered_standard_error, holm, minimum_detectable_difference, sign_flip_p
from benchmark.statistics.rows import AccuracyRow, ComparisonRow, NormalisedMeanRow, NormalisedRow

SATURATED = 0.95
"""A cell is saturated where a fixed feature or an Untrained encoder already reaches this accuracy."""
_LEAST_FLIPS = 10_000


@dataclass(frozen=True)
class Estimates:
    """The rows of one study."""

    summary: list[AccuracyRow]
    comparisons: list[ComparisonRow]
    normalised: list[NormalisedRow]
    means: list[NormalisedMeanRow]


def estimates(results: StudyResults, job: ReportJob) -> Estimates:
    """Every row of a study, in the order of the study's file.

    Raises:
        StaleArtifactError: a run and its reference were not scored on the same clips.
    """
    estimator = _Estimator(results, job)
    comparisons = _adjusted([estimator.comparison(*cell) for cell in estimator.compared()])
    detectable = {row.cell: row.minimum_detectable_difference for row in comparisons}
    summary = [estimator.accuracy(*cell) for cell in results.cells()]
    normalised, means = estimator.normalised()
    return Estimates(
        summary=[replace(row, minimum_detectable_difference=detectable.get(row.cell)) for row in summary],
        comparisons=comparisons,
        normalised=normalised,
        means=means,
    )


class _Estimator:
    def __init__(self, results: StudyResults, job: ReportJob) -> None:
        self.results = results
        self.job = job

    def accuracy(self, family: Family, key: CellKey) -> AccuracyRow:
        row = AccuracyRow(**self._common(family, key))
        cell = family.cells.get(key)
        if cell is None:
            return row
        lower, upper = self._interval(family, key, [cell], "accuracy", lambda draws: draws[:, 0])
        seeds, replicas, sources = cell.hits.shape
        return replace(
            row,
            accuracy=cell.accuracy,
            lower=lower,
            upper=upper,
            resampled="+".join(cell.resampled),
            seeds=seeds,
            replicas=replicas,
            clips=cell.clips,
            sources=sources,
            by_seed=" ".join(f"{value:.6f}" for value in cell.by_seed),
        )

    def compared(self) -> list[tuple[Family, CellKey]]:
        """Cells to compare with Untrained; a control has nothing to find, and would cost the others power."""
        return [
            (family, key)
            for family, key in self.results.cells()
            if family.facts.untrained and not self.results.is_control(key.protocol)
        ]

    def comparison(self, family: Family, key: CellKey) -> ComparisonRow:
        reference = family.facts.untrained or ""
        row = ComparisonRow(**self._common(family, key), reference=reference)
        cell, other = family.cells.get(key), self._cell(reference, key)
        if cell is None or other is None:
            return replace(row, status="not run", reason=row.reason or f"{reference} was not scored here")
        lower, upper = self._interval(family, key, [cell, other], "difference", lambda draws: draws[:, 0] - draws[:, 1])
        differences = cell.by_group - other.by_group
        error = clustered_standard_error(differences, cell.mass)
        flips = max(self.job.bootstrap, _LEAST_FLIPS)
        return replace(
            row,
            difference=cell.accuracy - other.accuracy,
            lower=lower,
            upper=upper,
            p=sign_flip_p(differences, flips, self._stream("flips", family, *key)),
            sources=len(differences),
            standard_error=error,
            minimum_detectable_difference=minimum_detectable_difference(error, len(differences)),
        )

    def normalised(self) -> tuple[list[NormalisedRow], list[NormalisedMeanRow]]:
        """Normalised accuracies by cell, and their means over tasks by run, protocol and train size."""
        rows: list[NormalisedRow] = []
        means: list[NormalisedMeanRow] = []
        for family in self.results.families.values():
            values: dict[tuple[str, str], list[NormalisedAccuracy | None]] = {}
            for key in sorted(family.cells):
                if key.task in family.facts.supervised and not self.results.is_control(key.protocol):
                    row, value = self._normalised_cell(family, key)
                    rows.append(row)
                    values.setdefault((key.protocol, key.train_size), []).append(value)
            means += [self._normalised_mean(family, *setting, cells) for setting, cells in values.items()]
        return rows, means

    def _normalised_cell(self, family: Family, key: CellKey) -> tuple[NormalisedRow, NormalisedAccuracy | None]:
        cell = family.cells[key]
        untrained, supervised = family.facts.untrained or "", family.facts.supervised[key.task]
        frozen = self._untrained_key(key)
        low, (protocol, high) = self._cell(untrained, frozen), self._supervised(supervised, key)
        row = NormalisedRow(
            **self._common(family, key),
            untrained_run=untrained,
            supervised_run=supervised,
            supervised_protocol=protocol,
            accuracy=cell.accuracy,
            untrained_protocol=frozen.protocol,
        )
        if low is None or high is None:
            absent = (untrained or "Untrained") if low is None else supervised
            return replace(row, status="undefined", reason=f"no reference: {absent} was not scored here"), None
        where = f"{family.run} on {key.task}"
        shares = [self._seed_shares(*item) for item in ((family.run, cell), (untrained, low), (supervised, high))]
        stream = self._stream("normalised", family, *key)
        draws = joint_replicates([cell, low, high], self.job.bootstrap, stream, where, shares)
        value = NormalisedAccuracy(cell.accuracy, low.accuracy, high.accuracy, draws)
        gap_lower, gap_upper = value.gap_interval
        row = replace(
            row,
            untrained=value.untrained,
            supervised=value.supervised,
            gap=value.gap,
            gap_lower=gap_lower,
            gap_upper=gap_upper,
        )
        if value.undefined:
            return replace(row, status="undefined", reason=value.undefined), value
        lower, upper = value.interval
        return replace(row, value=value.value, lower=lower, upper=upper), value

    def _normalised_mean(
        self, family: Family, protocol: str, size: str, cells: Sequence[NormalisedAccuracy | None]
    ) -> NormalisedMeanRow:
        title = family.facts.title
        row = NormalisedMeanRow(family.study, family.run, title, protocol, size, tasks=0, undefined=len(cells))
        defined = [cell for cell in cells if cell is not None and not cell.undefined]
        mean = mean_over_tasks(defined, self.job.bootstrap, self._stream("tasks", family, protocol, size))
        if mean is None:
            return row
        lower, upper = mean.quoted
        return replace(
            row,
            tasks=mean.tasks,
            undefined=len(cells) - mean.tasks,
            mean=mean.mean,
            lower=lower,
            upper=upper,
            shown=mean.shown,
            ratio_of_mean_gains=mean.ratio_of_mean_gains,
            fixed_tasks_lower=mean.fixed_tasks[0],
            fixed_tasks_upper=mean.fixed_tasks[1],
            over_tasks_lower=mean.over_tasks[0],
            over_tasks_upper=mean.over_tasks[1],
            paper_lower=mean.paper[0],
            paper_upper=mean.paper[1],
            coverage=mean.coverage,
        )

    def _common(self, family: Family, key: CellKey) -> dict[str, Any]:
        return {
            "study": family.study,
            "run": family.run,
            "title": family.facts.title,
            "role": family.role,
            "data": family.data,
            **key._asdict(),
            "status": "ok" if key in family.cells else "not run",
            "reason": family.not_run.get(key, ""),
            "transductive": family.facts.transductive,
            "saturated": self.results.best_without_training(key) >= SATURATED,
        }

    def _interval(
        self, family: Family, key: CellKey, cells: Sequence[Cell], purpose: str, estimate: Callable[[Floats], Floats]
    ) -> tuple[float, float]:
        """95 % interval of an estimate; nan where there is one of each level, so that nothing can be varied."""
        if not any(cell.resampled for cell in cells):
            return math.nan, math.nan
        return percentile_interval(estimate(self._draws(family, key, cells, purpose)))

    def _draws(self, family: Family, key: CellKey, cells: Sequence[Cell], purpose: str) -> Floats:
        stream = self._stream(purpose, family, *key)
        return joint_replicates(cells, self.job.bootstrap, stream, f"{family.run} on {key.task}")

    def _seed_shares(self, run: str, cell: Cell) -> Floats:
        """``(B, S)``: equal on all tasks, because a seed is one encoder, good or bad on all of them together."""
        stream = self._stream("seeds", self.results.families[run])
        return unit_shares(len(cell.hits), self.job.bootstrap, stream)

    def _stream(self, purpose: str, family: Family, *parts: str) -> np.random.Generator:
        return numpy_stream(self.job.seed, purpose, family.study, family.run, *parts)

    def _cell(self, run: str, key: CellKey) -> Cell | None:
        family = self.results.families.get(run)
        return family.cells.get(key) if family else None

    def _untrained_key(self, key: CellKey) -> CellKey:
        """Equation (1) takes a frozen Untrained for fine-tuned encoders too: under the protocol that the study names."""
        named = self.results.study.untrained_protocols
        return key._replace(protocol=named.get(key.protocol, key.protocol))

    def _supervised(self, run: str, key: CellKey) -> tuple[str, Cell | None]:
        """The Supervised reference at the same task and train size, and its protocol."""
        family = self.results.families.get(run)
        cells = family.cells if family else {}
        scored = [k.protocol for k in cells if (k.task, k.train_size) == (key.task, key.train_size)]
        protocol = protocol_of_reference(key.protocol, scored)
        return (protocol, cells[key._replace(protocol=protocol)]) if protocol else ("", None)


def _adjusted(comparisons: list[ComparisonRow]) -> list[ComparisonRow]:
    """With Holm's adjustment over all comparisons of the study."""
    p_values = np.array([row.p for row in comparisons if row.p is not None], dtype=np.float64)
    adjusted = iter(holm(p_values).tolist())
    return [row if row.p is None else replace(row, p_holm=next(adjusted)) for row in comparisons]
