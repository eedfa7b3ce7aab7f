"""A finished profile as aggregation leaves it, made up: two fixed features and two trained runs on two tasks."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from benchmark.columns import SCORE_COLUMNS
from benchmark.statistics.differences import Snapshot
from benchmark.statistics.tolerance import Tolerance, ToleranceRow

TASKS = {"esc10": (["1", "2", "3", "4", "5"], 80), "us8k": (["1", "10"], 150)}
PROTOCOLS = ("linear", "knn")
RUNS = {"logmel-0": False, "untrained-0": False, "simclr-0": True, "supervised-0": True}
"""Name and whether it has pre-training."""


def _measured(kind: str, name: str, task: str, protocol: str) -> ToleranceRow:
    folds, clips = TASKS[task]
    largest = {"numerical": 4.0, "seed": 12.0}[kind] * RUNS[name]
    return ToleranceRow(
        kind, name, task, protocol, "accuracy", RUNS[name], 8, 16, len(folds) * clips, largest, largest / 8
    )


TOLERANCE = Tolerance(tuple(_measured(*cell) for cell in product(("numerical", "seed"), RUNS, TASKS, PROTOCOLS)))
"""8 test clips for what is trained, 24 under another seed, and one for the rest."""


def finished() -> Snapshot:
    """The same accepted run every time."""
    generator = np.random.default_rng(7)
    rows = [row for name in RUNS for row in _rows(name, generator)]
    scores = pd.DataFrame(rows, columns=SCORE_COLUMNS).fillna("").astype(str)
    return Snapshot(
        scores=scores,
        runs={name: _record(name, trained) for name, trained in RUNS.items()},
        host={"system": "Linux", "processor": "A", "cores": 2, "instructions": "avx2"},
        protocols={f"study/{name}": {"head": "converged", "regularisers": [0.1, 1.0]} for name in PROTOCOLS},
        tasks={task: {"id": task, "fold_column": "fold"} for task in TASKS},
    )


def with_record(side: Snapshot, name: str, **changes: Any) -> Snapshot:
    """The same with entries of a run's record replaced; nested mappings are merged."""
    runs = copy.deepcopy(dict(side.runs))
    for key, value in changes.items():
        runs[name][key] = {**runs[name][key], **value} if isinstance(value, dict) else value
    return replace(side, runs=runs)


def with_rows(side: Snapshot, where: dict[str, str], **columns: str) -> Snapshot:
    """The same with columns of some score rows replaced."""
    scores = side.scores.copy()
    scores.loc[_mask(scores, where), list(columns)] = list(columns.values())
    return replace(side, scores=scores)


def moved(side: Snapshot, where: dict[str, str], clips: float) -> Snapshot:
    """The same with every fold of some cells moved by a share of ``clips`` test clips, which it moves the cell by."""
    scores = side.scores.copy()
    mask = _mask(scores, where)
    sizes = scores["task"].map({task: len(folds) * n for task, (folds, n) in TASKS.items()})
    values = scores["value"].astype(float) + clips / sizes
    scores.loc[mask, "value"] = values[mask].astype(str)
    return replace(side, scores=scores)


def retrained(side: Snapshot, name: str) -> Snapshot:
    """The same with other weights of a run, in its scores and in its record."""
    return with_rows(with_record(side, name, weights={"all": "other"}), {"name": name}, weights_hash="other")


def _mask(scores: pd.DataFrame, where: dict[str, str]) -> pd.Series:
    return (scores[list(where)] == pd.Series(where)).all(axis=1)


def _rows(name: str, generator: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for task, (folds, clips) in TASKS.items():
        for protocol in PROTOCOLS:
            values = generator.integers(clips // 4, clips // 2, len(folds)) / clips
            entries = [
                *zip(folds, values, [clips] * len(folds), strict=True),
                ("mean", values.mean(), clips * len(folds)),
            ]
            common = {
                "study": "study", "run": name[:-2], "name": name, "method": name[:-2], "encoder": "cnn",
                "pretrain_dataset": "fsdd", "variant": "default", "task": task, "protocol": protocol,
                "train_size": "full", "split": "test", "pretrain_seed": 0, "head_seed": 0, "metric": "accuracy",
                "unit": "clip", "status": "ok", "weights_hash": f"weights of {name}", "data_hash": task,
                "protocol_hash": protocol, "code_hash": "evaluation",
            }  # fmt: skip
            rows += [common | {"fold": fold, "value": value, "n": n} for fold, value, n in entries]
    return rows


def _record(name: str, trained: bool) -> dict[str, Any]:
    clips = [{"dataset": "fsdd", "allowed": 257, "excluded": 143, "used": 257, "fingerprint": "f"}]
    return {
        "status": "ready",
        "method": name[:-2],
        "encoder": "cnn",
        "method_config": {"temperature": 0.2, "gain_db": 6.0},
        "encoder_config": {"width": 0.25},
        "settings": {"steps": 60 if trained else 0, "log_every": 5, "clip_norm": None},
        "machine": {"device": "cpu", "threads": 2, "workers": 2},
        "versions": {"torch": "2.11.0"},
        "seed": 0,
        "code": "pre-training",
        "code_hash": ["evaluation"],
        "key": f"key of {name}",
        "weights": {"all": f"weights of {name}"},
        "training": [{"part": "all", "steps": 60, "clips": clips}] if trained else [],
    }
