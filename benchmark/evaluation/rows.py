"""Score rows and prediction rows: the tidy tables that evaluation hands to statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmark.artifacts import content_hash
from benchmark.columns import CURVE_COLUMNS, PREDICTION_COLUMNS, SCORE_COLUMNS
from benchmark.config import Protocol
from benchmark.evaluation.contributions import contributions
from benchmark.evaluation.protocols import Material, Outcome
from benchmark.evaluation.scoring import class_rows, clip_metrics, prediction_metrics
from benchmark.jobs import EvaluateJob

MEAN = "mean"
"""Fold of the rows that average the folds."""

Row = dict[str, Any]


def score_base(
    job: EvaluateJob, task: str, protocol: str, settings: Protocol, *, variant: str, weights: str, data: str
) -> Row:
    """What all score rows of one part, task and protocol share."""
    return {
        "study": job.study,
        "run": job.run,
        "name": job.name,
        "method": job.method,
        "encoder": job.encoder,
        "pretrain_dataset": job.pretrain_dataset,
        "variant": variant,
        "task": task,
        "protocol": protocol,
        "split": "test",
        "pretrain_seed": job.seed,
        "weights_hash": weights,
        "data_hash": data,
        "protocol_hash": content_hash(settings.model_dump(mode="json")),
        "code_hash": job.code,
    }


def not_run(base: Row, sizes: Iterable[object], reason: str, metric: str = "accuracy") -> Iterator[Row]:
    """Rows of a cell that could not be computed, and why; ``metric`` is the task's."""
    for size in sizes:
        empty = {"head_seed": 0, "fold": MEAN, "metric": metric, "value": None, "unit": "clip", "n": 0}
        yield {**base, **empty, "train_size": str(size), "status": "not run", "reason": reason}


def score_rows(base: Row, outcome: Outcome, material: Material, reason: str) -> Iterator[Row]:
    """The metrics of one outcome, the task's own first; for clips and, where the head sees slices, for slices."""
    shared = {**base, "train_size": outcome.train_size, "head_seed": outcome.head_seed, "fold": outcome.fold}
    failure = outcome.reason
    values: dict[str, float] = {}
    if not failure:
        labels = material.labels[outcome.test]
        values = clip_metrics(material.metric, labels, outcome.predictions, outcome.scores, outcome.ranks)
        if material.metric not in values:
            failure = (
                f"{material.metric} is undefined: no class of fold {outcome.fold} has the test clips that it needs"
            )
    if failure:
        missing = {"metric": material.metric, "value": None, "unit": "clip", "n": 0}
        yield {**shared, **missing, "status": "not run", "reason": failure}
        return
    units = [("clip", len(outcome.test), values)]
    if outcome.slices.size:
        slice_labels = material.labels[material.embeddings.clip_of_slice[outcome.slices]]
        units.append(("slice", len(slice_labels), prediction_metrics(slice_labels, outcome.slice_predictions)))
    for unit, n, of_unit in units:
        for metric, value in of_unit.items():
            facts = {"metric": metric, "value": value, "unit": unit, "n": n}
            yield {**shared, **facts, "status": "ok", "reason": reason}


def detail_rows(base: Row, outcome: Outcome, material: Material, reason: str) -> Iterator[Row]:
    """Precision, recall, F1 and rates of confusion of single classes, fold by fold: variants ``fold=1;class=siren``.

    Of tasks of a single class a clip; they are not averaged over folds.
    """
    if outcome.reason or material.labels.ndim == 2:
        return
    shared = {**base, "train_size": outcome.train_size, "head_seed": outcome.head_seed, "fold": outcome.fold}
    own = "" if base["variant"] == "default" else f"{base['variant']};"
    for variant, metric, value, n in class_rows(
        material.labels[outcome.test], outcome.predictions, material.class_names
    ):
        facts = {"metric": metric, "value": value, "unit": "clip", "n": n, "status": "ok", "reason": reason}
        yield {**shared, **facts, "variant": f"{own}fold={outcome.fold};{variant}"}


def curve_rows(base: Row, outcome: Outcome, metric: str) -> Iterator[Row]:
    """The task's ``metric`` in the course of fine-tuning, where it was watched and is defined."""
    shared = {**base, "train_size": outcome.train_size, "head_seed": outcome.head_seed, "fold": outcome.fold}
    for step, value in outcome.curve:
        if value >= 0:
            facts = {"step": int(step), "metric": metric, "value": float(value)}
            yield {column: (shared | facts)[column] for column in CURVE_COLUMNS}


def with_means(rows: list[Row]) -> list[Row]:
    """The rows and, for each head, metric and unit, one row that averages its folds."""
    table = pd.DataFrame(rows, columns=SCORE_COLUMNS)
    scored = table[(table["status"] == "ok") & (table["fold"] != MEAN)]
    keys = [column for column in SCORE_COLUMNS if column not in {"fold", "value", "n", "weights_hash"}]
    means = []
    for _, group in scored.groupby(keys, sort=False, dropna=False):
        first = dict(group.iloc[0])
        weights = sorted(set(group["weights_hash"]))
        joint = weights[0] if len(weights) == 1 else content_hash(weights)
        means.append(
            {
                **first,
                "fold": MEAN,
                "value": float(group["value"].mean()),
                "n": int(group["n"].sum()),
                "weights_hash": joint,
            }
        )
    return [*rows, *means]


def score_table(rows: list[Row]) -> pd.DataFrame:
    """All rows in the columns' and in a deterministic order."""
    table = pd.DataFrame(rows, columns=SCORE_COLUMNS)
    order = ["variant", "task", "protocol", "train_size", "unit", "metric", "head_seed", "fold"]
    return table.sort_values(order, kind="stable", ignore_index=True)


def prediction_rows(base: Row, outcome: Outcome, material: Material, clips: pd.DataFrame) -> pd.DataFrame:
    """One row a test clip; ``clips`` are the material's, in its order. Empty where the task's metric is undefined."""
    labels = material.labels[outcome.test]
    credit, mass = contributions(material.metric, labels, outcome.predictions, outcome.scores)
    if not mass.any():
        return pd.DataFrame(columns=PREDICTION_COLUMNS)
    test = clips.iloc[outcome.test]
    shared = {key: base[key] for key in ("name", "variant", "task", "protocol")}
    table = pd.DataFrame(
        {
            "clip_id": test["clip_id"].to_numpy(),
            "group": test["group"].to_numpy(),
            "label": np.full(len(test), -1) if labels.ndim == 2 else labels,
            "prediction": outcome.predictions,
            "credit": credit,
            "mass": mass,
        }
    )
    facts = {**shared, "train_size": outcome.train_size, "fold": outcome.fold, "head_seed": outcome.head_seed}
    return table.assign(**facts)[PREDICTION_COLUMNS]
