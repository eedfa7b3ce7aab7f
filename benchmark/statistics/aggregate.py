"""Everything the evaluations of a profile left, as tidy result files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.artifacts import read_json, write_json, write_text
from benchmark.columns import SCORE_COLUMNS
from benchmark.jobs import ReportJob
from benchmark.statistics.convergence import convergence, mean_curves
from benchmark.statistics.estimates import estimates
from benchmark.statistics.families import StudyResults, cell_key, headline
from benchmark.statistics.findings import RULE, SATURATION, findings
from benchmark.statistics.inputs import (
    Evaluation,
    headline_rows,
    read_evaluation,
    scores_folder,
    snapshot_step,
)
from benchmark.statistics.published_ids import FILE as PUBLISHED_IDS
from benchmark.statistics.rows import (
    DECIMALS,
    AccuracyRow,
    ComparisonRow,
    ConvergenceRow,
    CurveRow,
    NormalisedMeanRow,
    NormalisedRow,
    SnapshotRow,
    write_rows,
)
from benchmark.statistics.summaries import SummaryRow, SummaryTaskRow, summaries
from benchmark.studies import load_study
from benchmark.workspace import Workspace


def aggregate(job: ReportJob, workspace: Workspace) -> None:
    """Write a profile's result files to ``results/<profile>/``: equal inputs give equal bytes.

    - ``scores/scores.csv``: every row of every run; ``scores/steps.csv``: accuracy during pre-training.
    - ``scores/curves.csv``: scores during fine-tuning; ``scores/convergence.csv``: see ``statistics.convergence``.
    - ``scores/{summary,comparisons,normalised,normalised_means}.csv``: see ``statistics.rows``.
    - ``scores/{summaries,summary_tasks}.csv``: see ``statistics.summaries``.
    - ``scores/{findings,diagnostics,provenance,published_ids}.json``.
    - ``metrics.json`` and ``plots/accuracy.csv``, for ``dvc metrics show`` and ``dvc plots show``.

    Raises:
        StaleArtifactError: an evaluation is missing, or contradicts another one.
        CorruptArtifactError: a file does not parse.
    """
    names = sorted({name for runs in job.runs.values() for facts in runs.values() for name in facts.names})
    evaluations = {name: read_evaluation(workspace, name, job.metrics) for name in names}
    diagnostics = {name: evaluation.diagnostics for name, evaluation in evaluations.items()}
    provenance = {name: _provenance(workspace, evaluation) for name, evaluation in evaluations.items()}
    studies = [StudyResults(load_study(workspace.root, study), runs, evaluations) for study, runs in job.runs.items()]
    rows = [estimates(results, job) for results in studies]

    folder = scores_folder(workspace)
    scores = _scores(evaluations)
    write_text(folder / "scores.csv", scores.to_csv(index=False, lineterminator="\n"))
    write_rows(folder / "steps.csv", SnapshotRow, _snapshots(scores, job.metrics))
    curves = mean_curves(pd.concat([evaluation.curves for evaluation in evaluations.values()], ignore_index=True))
    write_rows(folder / "curves.csv", CurveRow, curves)
    converged = [convergence(s, [row for row in curves if row.study == s.study.id]) for s in studies]
    write_rows(folder / "convergence.csv", ConvergenceRow, [row for rows in converged for row in rows])
    write_rows(folder / "summary.csv", AccuracyRow, [row for r in rows for row in r.summary])
    write_rows(folder / "comparisons.csv", ComparisonRow, [row for r in rows for row in r.comparisons])
    write_rows(folder / "normalised.csv", NormalisedRow, [row for r in rows for row in r.normalised])
    write_rows(folder / "normalised_means.csv", NormalisedMeanRow, [row for r in rows for row in r.means])
    summed = [summaries(results.study, job.runs[results.study.id], scores, job) for results in studies]
    write_rows(folder / "summaries.csv", SummaryRow, [row for means, _ in summed for row in means])
    write_rows(folder / "summary_tasks.csv", SummaryTaskRow, [row for _, tasks in summed for row in tasks])
    write_json(folder / PUBLISHED_IDS, {results.study.id: results.study.published_ids for results in studies})
    found = {s.study.id: findings(s, r, provenance, diagnostics) for s, r in zip(studies, rows, strict=True)}
    write_json(
        folder / "findings.json",
        {"rule": RULE, "saturation": SATURATION, "standin": job.standin, "studies": found},
    )
    write_json(folder / "diagnostics.json", diagnostics)
    write_json(folder / "provenance.json", provenance)
    _write_headline(workspace.results, studies)


def _scores(evaluations: dict[str, Evaluation]) -> pd.DataFrame:
    rows = pd.concat([evaluation.scores for evaluation in evaluations.values()], ignore_index=True)
    return rows.sort_values(SCORE_COLUMNS, kind="stable", ignore_index=True)


def _snapshots(scores: pd.DataFrame, metrics: Mapping[str, str]) -> list[SnapshotRow]:
    """The headline metric of each run's snapshots by completed steps: means over folds, then over head replicas."""
    rows = headline_rows(scores, metrics)
    rows = rows.assign(step=rows["variant"].map(snapshot_step).astype("Int64"))
    rows = rows[rows["step"].notna() & (rows["status"] == "ok")]
    cell = [field.name for field in fields(SnapshotRow) if field.name != "accuracy"]
    replicas = rows.groupby([*cell, "head_seed"], as_index=False)["value"].mean()
    means = replicas.groupby(cell, as_index=False)["value"].mean()
    records = means.rename(columns={"value": "accuracy"}).to_dict("records")
    return [SnapshotRow(**{str(column): value for column, value in record.items()}) for record in records]


def _provenance(workspace: Workspace, evaluation: Evaluation) -> dict[str, Any]:
    """What made a run's numbers: its pre-training record without its files, and the hashes that its scores carry."""
    record = dict(read_json(workspace.run(evaluation.name) / "run.json"))
    weights = {part["part"]: part["weights"] for part in record.pop("parts", [])}
    columns = ("data_hash", "protocol_hash", "code_hash")
    hashes = {column: sorted(set(evaluation.scores[column]) - {""}) for column in columns}
    return {**record, "weights": weights, **hashes}


@dataclass(frozen=True)
class _PlotRow:
    study: str
    task: str
    run: str
    accuracy: float


def _write_headline(folder: Path, studies: Sequence[StudyResults]) -> None:
    """The accuracies of each study's first table, nested by study, task and run, and as rows to plot."""
    rows = [row for results in studies for row in _headline_rows(results)]
    metrics: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        metrics.setdefault(row.study, {}).setdefault(row.task, {})[row.run] = round(row.accuracy, DECIMALS)
    write_json(folder / "metrics.json", {"accuracy": metrics})
    write_rows(folder / "plots" / "accuracy.csv", _PlotRow, rows)


def _headline_rows(results: StudyResults) -> list[_PlotRow]:
    table = headline(results.study, results.families)
    if table is None:
        return []
    return [
        _PlotRow(results.study.id, task, run, results.families[run].cells[cell_key(table, run, task)].accuracy)
        for task in table.tasks
        for run in table.rows
        if run in results.families and cell_key(table, run, task) in results.families[run].cells
    ]
