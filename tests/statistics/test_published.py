from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.columns import SCORE_COLUMNS
from benchmark.statistics.inputs import read_table
from benchmark.statistics.published import COLUMNS, KEYS, published_matches
from benchmark.statistics.rows import AccuracyRow

ROOT = Path(__file__).parent.parent.parent
MAKER = {"method": "simclr_mixback", "encoder": "resnet18", "pretrain_dataset": "fsdnoisy18k_noisy"}
CELL = {"task": "fsdnoisy18k_val", "protocol": "knn", "train_size": "full"}
SCORES = pd.DataFrame([{"study": "s", "run": "simclr", **MAKER}], columns=SCORE_COLUMNS)


def ours(**changes: object) -> AccuracyRow:
    facts = {"study": "s", "run": "simclr", "title": "", "role": "", "data": "", "status": "ok", "reason": ""}
    settings = {
        **facts,
        **CELL,
        "transductive": False,
        "saturated": False,
        "accuracy": 0.7,
        "lower": 0.68,
        "upper": 0.72,
    }
    return AccuracyRow(**{**settings, **changes})  # type: ignore[arg-type]


def theirs(**changes: str) -> pd.DataFrame:
    row = {**MAKER, **CELL, "paper": "p", "table": "t", "metric": "accuracy", "value": "70.1", "unit": "percent"}
    return pd.DataFrame([{**row, **changes}], columns=COLUMNS).fillna("")


@pytest.mark.parametrize(
    ("value", "unit", "within"), [("70.1", "percent", True), ("0.701", "fraction", True), ("75", "percent", False)]
)
def test_a_match_lies_within_the_interval_or_not(value: str, unit: str, within: bool):
    (match,) = published_matches([ours()], SCORES, theirs(value=value, unit=unit))
    assert match.within is within
    assert match.ours == 0.7


def test_without_an_interval_nothing_is_said():
    (match,) = published_matches([ours(lower=None, upper=None)], SCORES, theirs())
    assert match.within is None


@pytest.mark.parametrize("key", KEYS)
def test_every_key_must_match(key: str):
    assert published_matches([ours()], SCORES, theirs(**{key: "other"})) == []


def test_the_papers_numbers_have_these_columns():
    assert len(read_table(ROOT / "results" / "published" / "published_results.csv", COLUMNS)) == 522
