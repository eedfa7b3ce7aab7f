from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from benchmark.columns import SCORE_COLUMNS
from benchmark.errors import StaleArtifactError
from benchmark.statistics.claims.runs import seed_table
from benchmark.statistics.claims.scores import NotEvaluableError
from benchmark.statistics.rows import NormalisedRow

ROW = {
    "study": "s",
    "run": "ours",
    "name": "ours-0",
    "method": "simclr",
    "encoder": "net",
    "pretrain_dataset": "d",
    "variant": "default",
    "task": "t1",
    "protocol": "linear",
    "train_size": "full",
    "split": "test",
    "pretrain_seed": "0",
    "head_seed": "0",
    "fold": "1",
    "metric": "accuracy",
    "value": "0.5",
    "unit": "clip",
    "n": "10",
    "status": "ok",
    "reason": "",
}


def scores(*changes: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([ROW | change for change in changes], columns=SCORE_COLUMNS).fillna("")


def normalised(**changes: Any) -> NormalisedRow:
    base = dict.fromkeys(("study", "run", "title", "role", "data", "task", "protocol", "train_size", "reason"), "")
    base |= {"study": "s", "run": "ours", "task": "t1", "protocol": "linear", "train_size": "full", "status": "ok"}
    references = {"untrained_run": "random", "supervised_run": "labels", "supervised_protocol": "scratch"}
    return NormalisedRow(**{**base, "transductive": False, "saturated": False, **references, **changes})


def value(table: Any, **where: str) -> list[float]:
    (found,) = table.select({"study": "s", **where})
    return list(table.values[found])


def test_folds_and_heads_are_averaged_and_seeds_kept():
    changes = [{"fold": "1", "value": "0.2"}, {"fold": "2", "value": "0.4"}, {"pretrain_seed": "1", "value": "0.9"}]
    assert value(seed_table(scores(*changes), [], {}), task="t1") == pytest.approx([0.3, 0.9])


@pytest.mark.parametrize("change", [{"split": "validation"}, {"unit": "slice"}])
def test_only_test_clips_count(change: dict[str, str]):
    table = seed_table(scores({}, {**change, "value": "0.9"}), [], {})
    assert value(table, task="t1") == pytest.approx([0.5])


def test_a_score_that_was_not_run_keeps_its_reason():
    table = seed_table(scores({}, {"task": "t2", "value": "", "status": "not run", "reason": "no data"}), [], {})
    with pytest.raises(NotEvaluableError, match="no data"):
        table.select({"task": "t2"})


REFERENCES = [
    *({"value": "0.6"}, {"value": "0.7", "pretrain_seed": "1"}, {"value": "0.1", "variant": "step=0"}),
    *({"run": "random", "method": "untrained", "value": "0.2", "pretrain_seed": seed} for seed in "01"),
    {"run": "labels", "method": "supervised", "protocol": "scratch", "value": "1.0"},
    {"run": "labels", "method": "supervised", "protocol": "scratch", "value": "0.7", "pretrain_seed": "1"},
]


def test_normalised_accuracy_is_made_seed_by_seed():
    """Of the final encoders: the snapshot at step 0 is another variant of the same run."""
    table = seed_table(scores(*REFERENCES), [normalised()], {})
    assert value(table, metric="normalized_accuracy") == pytest.approx([0.5, 1.0])


def test_undefined_cells_have_none():
    table = seed_table(scores(*REFERENCES), [normalised(status="undefined")], {})
    with pytest.raises(NotEvaluableError):
        table.select({"metric": "normalized_accuracy"})


def test_normalised_accuracies_without_scores_are_stale():
    with pytest.raises(StaleArtifactError, match="random"):
        seed_table(scores({}), [normalised()], {})
