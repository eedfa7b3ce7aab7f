"""A study's tables as CSV, Markdown and LaTeX: one builder and one list of rows for every table and every format."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmark.columns import size_in_words
from benchmark.config import Study, TableSpec
from benchmark.errors import StaleArtifactError
from benchmark.jobs import ReportJob
from benchmark.published.results import load_settings, read_published_results
from benchmark.reporting.footnotes import Footnotes
from benchmark.reporting.formats import NOT_ASKED, TRANSDUCTIVE, Table, write_table
from benchmark.reporting.results import BANNER, Results, read_results, task_metric, task_title
from benchmark.reporting.summaries import published_cells, summary_table
from benchmark.statistics import summaries
from benchmark.statistics.families import cell_key, shown, shown_tables
from benchmark.statistics.rows import AccuracyRow, NormalisedMeanRow, NormalisedRow
from benchmark.studies import load_study
from benchmark.workspace import Workspace


def render_tables(job: ReportJob, workspace: Workspace, study: str) -> None:
    """Write every table of a study to ``results/<profile>/tables/<study>/<table>.{csv,md,tex}``.

    Raises:
        StaleArtifactError: aggregation has not run, or not for this study.
    """
    for table in study_tables(job, load_study(workspace.root, study), read_results(workspace), workspace.root):
        write_table(workspace.results / "tables" / study, table, ["csv", "md", "tex"])


def study_tables(job: ReportJob, study: Study, results: Results, root: Path) -> list[Table]:
    """The tables that a study declares and of which the profile runs something.

    Published numbers, where a summary shows them, are read from the project at ``root``.

    Raises:
        StaleArtifactError: the job does not hold the study.
    """
    if study.id not in job.runs:
        raise StaleArtifactError(f"The plan of profile {job.profile} has no study {study.id!r}; run `dvc repro`.")
    own = results.of(study.id)
    runs = job.runs[study.id]
    tables = [_Builder(job, study, spec, own).table(name) for name, spec in shown_tables(study, runs).items()]
    asked = {row.summary for row in own.summaries if row.reason not in {summaries.NOT_ASKED, summaries.LEFT_OUT}}
    chosen = {n: spec for n, spec in study.summaries.items() if n in asked and shown(study, spec.rows, runs)}
    printed = read_published_results(root, load_settings(root)) if any(s.published for s in chosen.values()) else ()
    summed = [
        summary_table(job, study, name, own, published_cells(study, spec, printed)) for name, spec in chosen.items()
    ]
    return [*summed, *tables]


class _Builder:
    """Builds one table: run families down, tasks across."""

    def __init__(self, job: ReportJob, study: Study, spec: TableSpec, results: Results) -> None:
        self.job, self.study, self.spec = job, study, spec
        self.summary = {row.cell: row for row in results.summary}
        self.comparisons = {row.cell: row for row in results.comparisons}
        self.normalised = {row.cell: row for row in results.normalised}
        self.means = {(row.run, row.protocol, row.train_size): row for row in results.means}
        self.footnotes = Footnotes()

    def table(self, name: str) -> Table:
        normalised = self.spec.value == "normalised"
        means = ["Mean over tasks", "Ratio of mean gains"] if normalised else []
        header = ["Run", "Audio", "Seeds", *map(_column, self.spec.tasks), *means]
        rows = [self._row(run) for run in self.spec.rows]
        notes = [*self._reading(), *(self._mean_notes() if normalised else []), *self._cell_notes()]
        return Table(name, self.spec.caption, header, rows, notes, BANNER if self.job.standin else "")

    def _row(self, run: str) -> list[str]:
        cells = [self._cell(run, task) for task in self.spec.tasks]
        means = self._mean_cells(run) if self.spec.value == "normalised" else []
        found = [row for task in self.spec.tasks if (row := self._summary(run, task))]
        seeds = sorted({row.seeds for row in found if row.seeds})
        data = found[0].data if found else NOT_ASKED
        return [self.study.runs[run].title, data, "–".join(str(n) for n in seeds) or NOT_ASKED, *cells, *means]

    def _summary(self, run: str, task: str) -> AccuracyRow | None:
        return self.summary.get((run, *cell_key(self.spec, run, task)))

    def _cell(self, run: str, task: str) -> str:
        if run not in self.job.runs[self.study.id]:
            return f"not run ({self.footnotes.mark('this profile leaves the run out')})"
        row = self._summary(run, task)
        if row is None:
            return NOT_ASKED
        if row.accuracy is None:
            return f"not run ({self.footnotes.mark(row.reason)})"
        flag = TRANSDUCTIVE if row.transductive else ""
        partial = f" ({self.footnotes.mark(row.reason)})" if row.reason else ""
        shown = percent(row) if self.spec.value == "accuracy" else self._normalised(run, task, row)
        return shown + flag + partial

    def _normalised(self, run: str, task: str, row: AccuracyRow) -> str:
        """A normalised accuracy with the raw one beside it."""
        raw = f"raw {100 * (row.accuracy or 0):.1f}"
        found = self.normalised.get((run, *cell_key(self.spec, run, task)))
        if found is None:
            return f"undefined ({self.footnotes.mark('the run names no Supervised reference')}); {raw}"
        if found.value is None:
            return f"undefined ({self.footnotes.mark(found.reason)}); {raw}"
        return f"{_ratio(found)}; {raw}"

    def _mean(self, run: str) -> NormalisedMeanRow | None:
        key = cell_key(self.spec, run, self.spec.tasks[0])
        return self.means.get((run, key.protocol, key.train_size))

    def _mean_cells(self, run: str) -> list[str]:
        row = self._mean(run)
        if row is None or row.mean is None or row.ratio_of_mean_gains is None:
            return [NOT_ASKED, NOT_ASKED]
        count = f"{row.tasks} of {row.tasks + row.undefined} tasks"
        return [f"{row.mean:.2f} {_bounds(row.lower, row.upper, 1, 2)}; {count}", f"{row.ratio_of_mean_gains:.2f}"]

    def _reading(self) -> list[str]:
        """How to read a cell."""
        accuracy = self.spec.value == "accuracy"
        named = all(task_metric(task) == "accuracy" for task in self.spec.tasks)
        raw = f"Accuracy of clips{'' if named else ', or the metric that heads a column,'} in percent"
        what = raw if accuracy else "Normalised accuracy (0 Untrained, 1 Supervised)"
        size = size_in_words(str(self.spec.train_size), "training clips")
        return [
            f"{what}, mean over pre-training seeds of the mean over folds, with {size}. In brackets a 95 % bootstrap "
            f"interval over seeds, head replicas and source recordings, as far as there are several. "
            f"{NOT_ASKED}: not asked for."
        ]

    def _cell_notes(self) -> list[str]:
        rows = [row for run in self.spec.rows for task in self.spec.tasks if (row := self._summary(run, task))]
        notes = self.footnotes.notes()
        if any(row.transductive and row.accuracy is not None for row in rows):
            notes.append(
                f"{TRANSDUCTIVE} transductive: unlabelled audio of the evaluated dataset was seen in pre-training."
            )
        if saturated := [
            task_title(t) for t in self.spec.tasks if any(row.task == t and row.saturated for row in rows)
        ]:
            notes.append(f"Saturated, so not counted in findings: {', '.join(saturated)}.")
        if detectable := self._detectable(rows):
            notes.append(f"Smallest difference from Untrained found in 80 % of trials, in points: {detectable}.")
        return notes

    def _detectable(self, rows: Sequence[AccuracyRow]) -> str:
        """Minimum detectable difference of each task: the median over the table's runs."""
        by_task = {
            task: [row.minimum_detectable_difference for row in rows if row.task == task] for task in self.spec.tasks
        }
        known = {task: [value for value in values if value is not None] for task, values in by_task.items()}
        return ", ".join(f"{task_title(t)} {100 * statistics.median(v):.1f}" for t, v in known.items() if v)

    def _mean_notes(self) -> list[str]:
        rows = [row for run in self.spec.rows if (row := self._mean(run)) and row.tasks > 1]
        return [
            f"{row.title}: the interval of the mean is for {row.shown}, {row.tasks} of them; "
            f"a bootstrap over tasks gives {_bounds(row.over_tasks_lower, row.over_tasks_upper, 1, 2)} "
            f"(which covers about {100 * (row.coverage or 0):.0f} % at this number), "
            f"with 50 resamples as published {_bounds(row.paper_lower, row.paper_upper, 1, 2)}."
            for row in rows
        ]


def _column(task: str) -> str:
    """A task's title, and its metric unless that is accuracy."""
    metric = task_metric(task)
    return task_title(task) if metric == "accuracy" else f"{task_title(task)}, {metric}"


def percent(row: AccuracyRow) -> str:
    """``84.2 [81.0, 87.1]``."""
    return f"{100 * (row.accuracy or 0):.1f} {_bounds(row.lower, row.upper, 100, 1)}".rstrip()


def _ratio(row: NormalisedRow) -> str:
    return f"{row.value or 0:.2f} {_bounds(row.lower, row.upper, 1, 2)}"


def _bounds(lower: float | None, upper: float | None, scale: int, decimals: int) -> str:
    if lower is None or upper is None:
        return ""
    return f"[{scale * lower:.{decimals}f}, {scale * upper:.{decimals}f}]"
