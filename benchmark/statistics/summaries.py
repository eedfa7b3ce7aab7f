"""Normalised accuracies as tagliasacchi2020 prints them: of slices, averaged over replicas and tasks (§IV, eq. 1 and table I).

Beside :mod:`benchmark.statistics.normalised`, which scores clips, resamples the references and leaves undefined cells out: here
every cell counts, however small the gap between the references, and what varies is the choice of the tasks alone. A task
without any gap is left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmark.config import Study, SummaryColumn, SummarySpec
from benchmark.jobs import ReportJob, ReportRun
from benchmark.seeding import numpy_stream
from benchmark.statistics.bootstrap import Floats, mean_replicates, percentile_interval
from benchmark.statistics.inputs import snapshot_step
from benchmark.statistics.normalised import PAPER_RESAMPLES

NOT_ASKED = "this profile does not ask for this protocol and train size"
LEFT_OUT = "this profile leaves the run out"
UNDEFINED = "Untrained and Supervised are equally good, so that nothing can be normalised"
_CELL = ["run", "task", "protocol", "train_size"]
Key = tuple[str, str, str, str]
"""Run, task, protocol and train size."""


@dataclass(frozen=True)
class SummaryTaskRow:
    """A row of ``summary_tasks.csv``: eq. (1) of one run on one task, mean over replicas."""

    study: str
    summary: str
    run: str
    task: str
    protocol: str
    train_size: str
    value: float | None = None
    spread: float | None = None
    """Standard deviation over replicas; None where there is one."""
    accuracy: float | None = None
    untrained: float | None = None
    supervised: float | None = None
    replicas: int | None = None
    reason: str = ""
    """Why there is no value."""


@dataclass(frozen=True)
class SummaryRow:
    """A row of ``summaries.csv``: the mean over tasks."""

    study: str
    summary: str
    run: str
    protocol: str
    train_size: str
    value: float | None = None
    spread: float | None = None
    """Standard deviation of 50 bootstrap means over tasks; the paper does not say what its figure is."""
    lower: float | None = None
    upper: float | None = None
    """95 % of as many bootstrap means over tasks as the profile states."""
    tasks: int = 0
    reason: str = ""
    """Why there is no value, or what it leaves out."""


def summaries(
    study: Study, runs: Mapping[str, ReportRun], scores: pd.DataFrame, job: ReportJob
) -> tuple[list[SummaryRow], list[SummaryTaskRow]]:
    """Every cell of the study's summaries, and the tasks that it is the mean of.

    Args:
        study: declares them.
        runs: facts of its run families, of which the references are taken.
        scores: score rows with the columns of ``scores.csv``.
        job: seed and number of resamples.
    """
    own = scores[scores["study"] == study.id]
    accuracies, asked = _accuracies(own), {*zip(own["protocol"], own["train_size"], strict=True)}
    rows, details = [], []
    for name, spec in study.summaries.items():
        for run, column in ((run, column) for run in spec.rows for column in spec.columns):
            cells = list(_task_rows(study, name, spec, column, run, runs.get(run), accuracies))
            if run in runs and (column.protocol, str(column.train_size)) not in asked:
                cells = [replace(cell, reason=NOT_ASKED) for cell in cells]
            details += cells
            rows.append(_mean(cells, job))
    return rows, details


def _accuracies(scores: pd.DataFrame) -> dict[Key, Floats]:
    """Accuracy of test slices by cell, fold means of every pre-training seed and head replica."""
    kept = (scores["unit"] == "slice") & (scores["metric"] == "accuracy") & (scores["status"] == "ok")
    rows = scores[kept & (scores["split"] == "test") & (scores["fold"] == "mean")]
    rows = rows[rows["variant"].map(snapshot_step).isna()].sort_values(["pretrain_seed", "head_seed"])
    return {
        (str(run), str(task), str(protocol), str(size)): pd.to_numeric(group["value"]).to_numpy(np.float64)
        for (run, task, protocol, size), group in rows.groupby(_CELL)
    }


def _task_rows(
    study: Study,
    name: str,
    spec: SummarySpec,
    column: SummaryColumn,
    run: str,
    facts: ReportRun | None,
    accuracies: Mapping[Key, Floats],
) -> Iterator[SummaryTaskRow]:
    size = str(column.train_size)
    for task in spec.tasks:
        row = SummaryTaskRow(study.id, name, run, task, column.protocol, size)
        if facts is None:
            yield replace(row, reason=LEFT_OUT)
            continue
        below = study.untrained_protocols.get(column.protocol, column.protocol)
        own = accuracies.get((run, task, column.protocol, size))
        untrained = accuracies.get((facts.untrained or "", task, below, size))
        reference = facts.supervised.get(task, "")
        supervised = _only(accuracies, reference, task, size)
        if own is None or untrained is None or supervised is None:
            missing = run if own is None else (facts.untrained or "Untrained") if untrained is None else reference
            yield replace(row, reason=f"no slices of {missing} were scored here")
            continue
        yield _normalised(row, own, float(untrained.mean()), float(supervised.mean()))


def _normalised(row: SummaryTaskRow, own: Floats, untrained: float, supervised: float) -> SummaryTaskRow:
    if supervised == untrained:
        return replace(row, reason=UNDEFINED)
    values = (own - untrained) / (supervised - untrained)
    return replace(
        row,
        value=float(values.mean()),
        spread=float(values.std(ddof=1)) if len(values) > 1 else None,
        accuracy=float(own.mean()),
        untrained=untrained,
        supervised=supervised,
        replicas=len(values),
    )


def _only(accuracies: Mapping[Key, Floats], run: str, task: str, size: str) -> Floats | None:
    """The Supervised reference's accuracies at a task and train size: those of its only protocol there."""
    found = [values for key, values in accuracies.items() if (key[0], key[1], key[3]) == (run, task, size)]
    return found[0] if len(found) == 1 else None


def _mean(cells: list[SummaryTaskRow], job: ReportJob) -> SummaryRow:
    """Of all tasks that can be normalised; of none, where one was not run: the paper's mean has no gaps."""
    first = cells[0]
    place = (first.study, first.summary, first.run, first.protocol, first.train_size)
    defined = [cell for cell in cells if not cell.reason]
    if missing := sorted({cell.reason for cell in cells if cell.reason not in {"", UNDEFINED}}):
        return SummaryRow(*place, tasks=len(defined), reason="; ".join(missing))
    if not defined:
        return SummaryRow(*place, reason=UNDEFINED)
    left_out = len(cells) - len(defined)
    reason = f"without {left_out} of {len(cells)} tasks: {UNDEFINED}" if left_out else ""
    values = np.array([cell.value for cell in defined], np.float64)
    spread = mean_replicates(values, PAPER_RESAMPLES, numpy_stream(job.seed, "summaries", *place, "paper")).std()
    draws = mean_replicates(values, job.bootstrap, numpy_stream(job.seed, "summaries", *place))
    lower, upper = percentile_interval(draws) if len(values) > 1 else (math.nan, math.nan)
    return SummaryRow(*place, float(values.mean()), float(spread), lower, upper, len(values), reason)
