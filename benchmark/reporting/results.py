"""What aggregation wrote, read back for tables, figures and the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmark import registry
from benchmark.artifacts import read_json
from benchmark.statistics.inputs import scores_folder
from benchmark.statistics.rows import (
    AccuracyRow,
    ComparisonRow,
    NormalisedMeanRow,
    NormalisedRow,
    SnapshotRow,
    read_rows,
)
from benchmark.statistics.summaries import SummaryRow, SummaryTaskRow
from benchmark.workspace import Workspace

BANNER = "Stand-in data: synthetic audio, not results."


@dataclass(frozen=True)
class Results:
    """The result files of a profile; rows of all studies."""

    summary: list[AccuracyRow]
    comparisons: list[ComparisonRow]
    normalised: list[NormalisedRow]
    means: list[NormalisedMeanRow]
    snapshots: list[SnapshotRow]
    summaries: list[SummaryRow]
    summary_tasks: list[SummaryTaskRow]
    findings: dict[str, Any]
    diagnostics: dict[str, Any]
    provenance: dict[str, Any]

    def of(self, study: str) -> Results:
        """The same with the rows of one study."""
        return Results(
            summary=[row for row in self.summary if row.study == study],
            comparisons=[row for row in self.comparisons if row.study == study],
            normalised=[row for row in self.normalised if row.study == study],
            means=[row for row in self.means if row.study == study],
            snapshots=[row for row in self.snapshots if row.study == study],
            summaries=[row for row in self.summaries if row.study == study],
            summary_tasks=[row for row in self.summary_tasks if row.study == study],
            findings=self.findings,
            diagnostics=self.diagnostics,
            provenance=self.provenance,
        )


def read_results(workspace: Workspace) -> Results:
    """Everything that aggregation wrote.

    Raises:
        StaleArtifactError: a file is missing or of another version.
        CorruptArtifactError: a file does not parse.
    """
    folder = scores_folder(workspace)
    return Results(
        summary=read_rows(folder / "summary.csv", AccuracyRow),
        comparisons=read_rows(folder / "comparisons.csv", ComparisonRow),
        normalised=read_rows(folder / "normalised.csv", NormalisedRow),
        means=read_rows(folder / "normalised_means.csv", NormalisedMeanRow),
        snapshots=read_rows(folder / "steps.csv", SnapshotRow),
        summaries=read_rows(folder / "summaries.csv", SummaryRow),
        summary_tasks=read_rows(folder / "summary_tasks.csv", SummaryTaskRow),
        findings=read_json(folder / "findings.json"),
        diagnostics=read_json(folder / "diagnostics.json"),
        provenance=read_json(folder / "provenance.json"),
    )


def task_title(task: str) -> str:
    """A task's title by its record."""
    title: str = registry.load("task", task).title
    return title


_METRICS = {"map": "mAP", "auc": "AUC", "mauc": "macro AUC", "class_mean_accuracy": "class-mean accuracy"}


def task_metric(task: str) -> str:
    """What a task is scored by, in words."""
    metric: str = registry.load("task", task).metric
    return _METRICS.get(metric, metric)
