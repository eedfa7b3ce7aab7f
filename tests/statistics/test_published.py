from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.columns import SCORE_COLUMNS
from benchmark.published.results import load_published_results
from benchmark.statistics.published import KEYS, PublishedMatch, published_matches
from benchmark.statistics.rows import AccuracyRow

ROOT = Path(__file__).parent.parent.parent
MAKER = {
    "method": "simclr_mixback",
    "encoder": "resnet18",
    "pretrain_dataset": "fsdnoisy18k_noisy",
    "variant": "default",
}
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


def theirs(**changes: object) -> pd.DataFrame:
    row = {
        **MAKER,
        **CELL,
        "paper": "p",
        "table": "t",
        "metric": "class_mean_accuracy",
        "value": 70.1,
        "unit": "percent",
    }
    return pd.DataFrame([{**row, **changes}])


def matched(row: AccuracyRow, published: pd.DataFrame) -> list[PublishedMatch]:
    return published_matches([row], SCORES, published, {"fsdnoisy18k_val": "class_mean_accuracy"})


@pytest.mark.parametrize(
    ("value", "unit", "within"), [(70.1, "percent", True), (0.701, "fraction", True), (75.0, "percent", False)]
)
def test_a_match_lies_within_the_interval_or_not(value: float, unit: str, within: bool):
    (match,) = matched(ours(), theirs(value=value, unit=unit))
    assert match.within is within
    assert match.ours == 0.7


def test_without_an_interval_nothing_is_said():
    (match,) = matched(ours(lower=None, upper=None), theirs())
    assert match.within is None


@pytest.mark.parametrize("key", KEYS)
def test_every_key_must_match(key: str):
    assert matched(ours(), theirs(**{key: "other"})) == []


def test_the_papers_numbers_have_these_keys():
    assert set(KEYS) <= set(load_published_results(ROOT).columns)
