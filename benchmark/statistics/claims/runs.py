"""Our scores as score tables: by pre-training seed, and by resample of the source recordings of a single split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmark.columns import SCORE_COLUMNS
from benchmark.errors import StaleArtifactError
from benchmark.seeding import numpy_stream
from benchmark.statistics.bootstrap import Floats, resample_counts
from benchmark.statistics.cells import CellKey
from benchmark.statistics.claims.scores import IDENTITY, ScoreTable
from benchmark.statistics.convergence import METRIC as STEPS_TO_SCRATCH
from benchmark.statistics.inputs import headline_rows, read_evaluation, read_table, scores_folder, snapshot_step
from benchmark.statistics.published_ids import PublishedIds, as_published, read_published_ids
from benchmark.statistics.rows import ConvergenceRow, NormalisedRow, read_rows
from benchmark.workspace import Workspace

_CELL = ["study", "run", "task", "protocol", "train_size"]
_Cells = Mapping[tuple[str, ...], pd.DataFrame]
"""Score rows of final encoders by the columns of ``_CELL`` and the metric."""
_SYSTEM = ["study", "method", "encoder", "pretrain_dataset", "variant"]
"""Columns of a run that hold on every task."""


def seed_scores(workspace: Workspace, task_groups: Mapping[str, tuple[str, ...]]) -> ScoreTable:
    """The profile's scores of test clips by pre-training seed; folds and head replicas are averaged.

    Normalised accuracies are added where :mod:`benchmark.statistics.normalised` calls them defined, each seed by the
    references' scores of the same seed, how soon fine-tuning converges (:mod:`benchmark.statistics.convergence`), and the means
    over named groups of tasks.

    Raises:
        StaleArtifactError: aggregation has not run.
    """
    folder = scores_folder(workspace)
    table = seed_table(
        read_table(folder / "scores.csv", SCORE_COLUMNS),
        read_rows(folder / "normalised.csv", NormalisedRow),
        read_rows(folder / "convergence.csv", ConvergenceRow),
        task_groups,
    )
    return _named(table, read_published_ids(folder))


def seed_table(
    scores: pd.DataFrame,
    normalised: Sequence[NormalisedRow],
    convergence: Sequence[ConvergenceRow],
    task_groups: Mapping[str, tuple[str, ...]],
) -> ScoreTable:
    """As :func:`seed_scores`, of tables with the columns of ``scores.csv``, ``normalised.csv`` and ``convergence.csv``."""
    rows = scores[(scores["split"] == "test") & (scores["unit"] != "slice")].assign(source="run", unit="fraction")
    ran = rows["status"] == "ok"
    kept = rows[ran].assign(value=pd.to_numeric(rows["value"][ran]))
    read = {"accuracy", *(row.metric for row in convergence)}
    final = kept[kept["metric"].isin(read) & kept["variant"].map(snapshot_step).isna()]
    cells = {tuple(map(str, key)): cell for key, cell in final.groupby([*_CELL, "metric"])}
    made = [*_normalised(cells, normalised), *_converged(cells, convergence)]
    added = pd.DataFrame(made, columns=kept.columns)
    table = ScoreTable.from_rows(pd.concat([kept, added]) if len(added) else kept, "pretrain_seed")
    return replace(table.with_groups(task_groups), missing=rows[~ran][[*IDENTITY, "reason"]].reset_index(drop=True))


def source_scores(
    workspace: Workspace, scores: pd.DataFrame, metrics: Mapping[str, str], resamples: int, seed: int
) -> ScoreTable | None:
    """Scores on single splits by bootstrap resample of their sources, averaged over seeds; None without predictions.

    ``metrics`` are the tasks' headline metrics where these are not accuracy: what predictions are kept for. Cells scored on
    the same test clips share their resamples, so that differences are paired.

    Raises:
        StaleArtifactError: scores and predictions contradict each other.
    """
    single = _single_splits(scores, metrics)
    names = sorted(set(single["name"]))
    if not names or not all(workspace.evaluation(name).is_dir() for name in names):
        return None
    evaluations = {name: read_evaluation(workspace, name, metrics) for name in names}
    rows, replicates = [], []
    counts: dict[str, Floats] = {}
    for keys, group in single.groupby([*_SYSTEM, *CellKey._fields], sort=True):
        identity = dict(zip([*_SYSTEM, *CellKey._fields], keys, strict=True))
        key = CellKey(*(str(identity[name]) for name in CellKey._fields))
        cells = [evaluations[name].cells[key] for name in sorted(set(group["name"]))]
        first = cells[0]
        if first.test_clips not in counts:
            stream = numpy_stream(seed, "claims", first.test_clips)
            counts[first.test_clips] = resample_counts(len(first.mass), resamples, stream).astype(float)
        drawn = counts[first.test_clips]
        hits = np.mean([cell.by_group for cell in cells], axis=0)
        metric = metrics.get(key.task, "accuracy")
        rows.append({**identity, "source": "run", "metric": metric, "unit": "fraction"})
        replicates.append((drawn @ hits) / (drawn @ first.mass))
    labels = tuple(str(index) for index in range(resamples))
    table = ScoreTable(pd.DataFrame(rows)[[*IDENTITY, "unit"]], np.stack(replicates), labels)
    return _named(table, read_published_ids(scores_folder(workspace)))


def _named(table: ScoreTable, ids: PublishedIds) -> ScoreTable:
    """The table with the ids by which claims select."""
    return replace(table, cells=as_published(table.cells, ids), missing=as_published(table.missing, ids))


def _single_splits(scores: pd.DataFrame, metrics: Mapping[str, str]) -> pd.DataFrame:
    """Rows of the headline metric of cells with one fold."""
    rows = headline_rows(scores[scores["status"] == "ok"], metrics)
    rows = rows[rows["variant"].map(snapshot_step).isna()]
    folds = rows.groupby([*_SYSTEM, *CellKey._fields])["fold"].transform("nunique")
    return rows[folds == 1]


def _normalised(cells: _Cells, rows: Sequence[NormalisedRow]) -> Iterator[dict[str, Any]]:
    """tagliasacchi2020 eq. (1) by seed, as rows of the score table."""

    def of(row: NormalisedRow, run: str, protocol: str) -> pd.DataFrame:
        return _cell(cells, (row.study, run, row.task, protocol, row.train_size, "accuracy"), "normalised.csv")

    def by_seed(row: NormalisedRow, run: str, protocol: str) -> pd.Series[float]:
        return of(row, run, protocol).groupby("pretrain_seed")["value"].mean()

    for row in rows:
        if row.status != "ok":
            continue
        untrained = by_seed(row, row.untrained_run, row.untrained_protocol or row.protocol)
        gap = by_seed(row, row.supervised_run, row.supervised_protocol) - untrained
        values = ((by_seed(row, row.run, row.protocol) - untrained) / gap).dropna()
        identity = of(row, row.run, row.protocol).iloc[0]
        for seed, value in values.items():
            yield {**identity, "metric": "normalized_accuracy", "pretrain_seed": seed, "value": value}


def _converged(cells: _Cells, rows: Sequence[ConvergenceRow]) -> Iterator[dict[str, Any]]:
    """Steps of fine-tuning by seed, as rows of the score table."""
    for row in rows:
        key = (row.study, row.run, row.task, row.protocol, row.train_size, row.metric)
        own = {"metric": STEPS_TO_SCRATCH, "pretrain_seed": str(row.pretrain_seed), "value": row.steps, "unit": "none"}
        yield {**_cell(cells, key, "convergence.csv").iloc[0], **own}


def _cell(cells: _Cells, key: tuple[str, ...], file: str) -> pd.DataFrame:
    """The score rows that a row of ``file`` rests on."""
    if key not in cells:
        raise StaleArtifactError(f"{file} rests on {' / '.join(key)}, scores.csv lacks it; run `dvc repro`.")
    return cells[key]
