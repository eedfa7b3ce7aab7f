"""Means over tasks of normalised accuracy in a paper's layout: its number, ours by its rules, and ours by this project's."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.config import Study, SummaryColumn, SummarySpec
from benchmark.jobs import ReportJob
from benchmark.published.results import PublishedResult
from benchmark.reporting.footnotes import Footnotes
from benchmark.reporting.formats import Table
from benchmark.reporting.results import BANNER, Results
from benchmark.statistics.rows import NormalisedMeanRow
from benchmark.statistics.summaries import UNDEFINED, SummaryRow

READING = (
    "Each cell, line by line: the published number; ours by the paper's rules, accuracy of slices and all tasks, ± the standard "
    "deviation of 50 bootstrap means over tasks, with a 95 % interval over tasks in brackets; ours by this project's rules, "
    "accuracy of clips, undefined tasks left out and counted, with the interval that the number of tasks allows."
)
PublishedCells = Mapping[tuple[str, str, str], PublishedResult]
"""By method, protocol and train size as the paper's table has them."""


def published_cells(study: Study, spec: SummarySpec, printed: tuple[PublishedResult, ...]) -> PublishedCells:
    """The numbers of the table that a summary reproduces; empty where it names none."""
    own = [result for result in printed if (result.paper, result.table) == (study.id, spec.published)]
    return {(result.method, result.protocol, result.train_size): result for result in own}


def summary_table(job: ReportJob, study: Study, name: str, results: Results, published: PublishedCells) -> Table:
    """One summary as a table."""
    return _Builder(job, study, name, results, published).table(BANNER if job.standin else "")


class _Builder:
    def __init__(self, job: ReportJob, study: Study, name: str, results: Results, published: PublishedCells) -> None:
        self.facts, self.provenance = job.runs[study.id], results.provenance
        self.study, self.name, self.spec, self.published = study, name, study.summaries[name], published
        self.cells = {(row.run, row.protocol, row.train_size): row for row in results.summaries if row.summary == name}
        self.means = {(row.run, row.protocol, row.train_size): row for row in results.means}
        self.footnotes = Footnotes()

    def table(self, banner: str) -> Table:
        header = ["Pre-training", "Reading", *(column.title for column in self.spec.columns)]
        rows = [self._row(run) for run in self.spec.rows]
        notes = [READING, *self.study.notes, *self.footnotes.notes()]
        return Table(self.name, self.spec.caption, header, rows, notes, banner)

    def _row(self, run: str) -> list[str]:
        spec = self.study.runs[run]
        return [spec.title, self._reading(run), *(self._cell(run, column) for column in self.spec.columns)]

    def _reading(self, run: str) -> str:
        """Settings that the paper leaves open, as the run had them."""
        names = self.facts[run].names if run in self.facts else ()
        settings = self.provenance[names[0]].get("method_config", {}) if names else {}
        return ", ".join(f"{name}={settings[name]}" for name in self.study.readings if name in settings)

    def _cell(self, run: str, column: SummaryColumn) -> str:
        key = (run, column.protocol, str(column.train_size))
        printed = self._printed(run, column)
        return "\n".join(
            [*([printed] if printed else []), self._as_published(self.cells[key]), self._own(self.means.get(key))]
        )

    def _printed(self, run: str, column: SummaryColumn) -> str:
        spec, size = self.study.runs[run], str(column.train_size)
        size = self.study.published_ids.get("train_size", {}).get(size, size)
        result = self.published.get((spec.reported_as or spec.method, column.protocol, size))
        if result is None:
            return ""
        return f"published {result.value:.2f}" + (f" ± {result.uncertainty:.2f}" if result.uncertainty else "")

    def _as_published(self, row: SummaryRow) -> str:
        if row.value is None:
            return f"{'undefined' if row.reason == UNDEFINED else 'not run'} ({self.footnotes.mark(row.reason)})"
        partial = f" ({self.footnotes.mark(row.reason)})" if row.reason else ""
        interval = "" if row.lower is None or row.upper is None else f" [{row.lower:.2f}, {row.upper:.2f}]"
        return f"{row.value:.2f} ± {row.spread or 0:.2f}{interval}{partial}"

    def _own(self, row: NormalisedMeanRow | None) -> str:
        if row is None:
            return "own rules: –"
        if row.mean is None:
            return f"own rules: undefined on all {row.undefined} tasks"
        interval = "" if row.lower is None or row.upper is None else f" [{row.lower:.2f}, {row.upper:.2f}]"
        return f"own rules: {row.mean:.2f}{interval}, {row.tasks} of {row.tasks + row.undefined} tasks"
