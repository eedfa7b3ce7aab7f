from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmark.config import validate
from benchmark.statistics.claims.formulas import Formula, Scope, compiled
from benchmark.statistics.claims.grammar import All, Claim, Statement
from benchmark.statistics.claims.scores import IDENTITY, ScoreTable

CELL = {
    "study": "paper",
    "source": "run",
    "method": "ours",
    "encoder": "net",
    "pretrain_dataset": "sounds",
    "variant": "default",
    "task": "t1",
    "protocol": "linear",
    "train_size": "full",
    "metric": "accuracy",
    "unit": "fraction",
}


def table(cells: list[dict[str, Any]], **options: Any) -> ScoreTable:
    """A table of departures from one cell; ``value`` is a number, or one a seed."""
    values = np.array([np.atleast_1d(cell["value"]) for cell in cells], float)
    frame = pd.DataFrame([CELL | {key: value for key, value in cell.items() if key != "value"} for cell in cells])
    return ScoreTable(frame[[*IDENTITY, "unit"]], values, tuple(map(str, range(values.shape[1]))), **options)


def by_variant(**values: Any) -> ScoreTable:
    return table([{"variant": name, "value": value} for name, value in values.items()])


def statement(data: dict[str, Any]) -> Statement:
    return validate(All, {"all": [data]}, "test").all[0]


def formula(data: dict[str, Any], scores: ScoreTable) -> Formula:
    return compiled(statement(data), Scope(scores, "paper", {}))


def claim(data: dict[str, Any], **fields: Any) -> Claim:
    needs = {"methods": [], "encoders": [], "tasks": [], "protocols": [], "metrics": []}
    evidence = {"numbers": "", "supports": "yes", "arithmetic": "", "published_verdict": True}
    defaults = {
        "id": "paper-claim",
        "paper": "paper",
        "section": "1",
        "claim": "A claim.",
        "kind": "ordering",
        "origin": "text",
        "evidence": evidence,
        "scale": "any",
        "scale_dependence": "",
        "needs": needs,
    }
    return validate(Claim, {**defaults, "statement": data, **fields}, "test")
