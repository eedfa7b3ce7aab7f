"""Finished cells: all outcomes of one part under one protocol on one task, as one cache entry."""

from __future__ import annotations

from typing import Any

from benchmark.artifacts import Arrays
from benchmark.evaluation.protocols import Outcome

_ARRAYS = ("test", "predictions", "slices", "slice_predictions", "ranks", "scores", "curve")


def pack(outcomes: list[Outcome]) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and record of a cell's outcomes."""
    arrays = {f"{i}.{name}": getattr(outcome, name) for i, outcome in enumerate(outcomes) for name in _ARRAYS}
    facts = [{k: v for k, v in vars(outcome).items() if k not in _ARRAYS} for outcome in outcomes]
    return arrays, {"outcomes": facts}


def unpack(arrays: Arrays, record: dict[str, Any]) -> list[Outcome]:
    """The inverse of :func:`pack`."""
    outcomes = []
    for i, facts in enumerate(record["outcomes"]):
        fields: dict[str, Any] = {**facts, **{name: arrays[f"{i}.{name}"] for name in _ARRAYS}}
        outcomes.append(Outcome(**fields))
    return outcomes
