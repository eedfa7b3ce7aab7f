from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.columns import SCORE_COLUMNS
from benchmark.errors import StaleArtifactError
from benchmark.statistics.aggregate import aggregate
from benchmark.statistics.claims.runs import seed_scores, seed_table, source_scores
from benchmark.statistics.claims.scores import NotEvaluableError
from benchmark.statistics.inputs import read_table, scores_folder
from benchmark.statistics.rows import ConvergenceRow, NormalisedRow
from benchmark.workspace import Workspace
from tests.statistics.synthetic import write_workspace

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
    assert value(seed_table(scores(*changes), [], [], {}), task="t1") == pytest.approx([0.3, 0.9])


@pytest.mark.parametrize("change", [{"split": "validation"}, {"unit": "slice"}])
def test_only_test_clips_count(change: dict[str, str]):
    table = seed_table(scores({}, {**change, "value": "0.9"}), [], [], {})
    assert value(table, task="t1") == pytest.approx([0.5])


def test_a_score_that_was_not_run_keeps_its_reason():
    table = seed_table(scores({}, {"task": "t2", "value": "", "status": "not run", "reason": "no data"}), [], [], {})
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
    table = seed_table(scores(*REFERENCES), [normalised()], [], {})
    assert value(table, metric="normalized_accuracy") == pytest.approx([0.5, 1.0])


def test_undefined_cells_have_none():
    table = seed_table(scores(*REFERENCES), [normalised(status="undefined")], [], {})
    with pytest.raises(NotEvaluableError):
        table.select({"metric": "normalized_accuracy"})


def converged(**changes: Any) -> ConvergenceRow:
    cell = {"study": "s", "run": "ours", "task": "t1", "protocol": "linear", "train_size": "full", "metric": "accuracy"}
    facts = {"pretrain_seed": 1, "reference": "labels", "target": 0.5, "final": 0.7, "reached": True, "steps": 300}
    return ConvergenceRow(**{**cell, **facts, **changes})


def test_steps_to_converge_are_kept_seed_by_seed():
    rows = [converged(), converged(pretrain_seed=0, steps=1001)]
    table = seed_table(scores(*REFERENCES), [], rows, {})
    assert value(table, metric="steps_to_scratch_accuracy", method="simclr") == [1001, 300]
    with pytest.raises(StaleArtifactError, match=r"convergence\.csv rests on s / ours / t2"):
        seed_table(scores(*REFERENCES), [], [converged(task="t2")], {})


def test_normalised_accuracies_without_scores_are_stale():
    with pytest.raises(StaleArtifactError, match="random"):
        seed_table(scores({}), [normalised()], [], {})


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, pd.DataFrame]:
    """A workspace with predictions, and its scores; ESC-10 and the speakers count as one split, UrbanSound8K as two."""
    job, workspace = write_workspace(tmp_path_factory.mktemp("evaluated"))
    aggregate(job, workspace)
    scores = read_table(scores_folder(workspace) / "scores.csv", SCORE_COLUMNS)
    scores.loc[scores["task"] == "esc10", "fold"] = "1"
    return workspace, scores


def test_sources_are_resampled_where_there_is_one_split(evaluated: tuple[Workspace, pd.DataFrame]):
    workspace, scores = evaluated
    sources, again = (source_scores(workspace, scores, {}, 400, seed=3) for _ in range(2))
    by_seed = seed_scores(workspace, {})
    assert sources is not None
    assert again is not None
    np.testing.assert_array_equal(sources.values, again.values)
    assert set(sources.cells["task"]) == {"esc10", "fsdd_speaker"}
    for method in ("simclr", "untrained"):
        where = {"study": "small", "method": method, "task": "esc10", "protocol": "linear", "variant": "default"}
        (found,) = sources.select(where)
        (ours,) = by_seed.select({**where, "metric": "accuracy"})
        assert sources.values[found].mean() == pytest.approx(by_seed.values[ours].mean(), abs=0.02)
        assert sources.values[found].std() > 0


def test_without_predictions_only_seeds_count(evaluated: tuple[Workspace, pd.DataFrame], tmp_path: Path):
    workspace, scores = evaluated
    assert source_scores(Workspace(tmp_path, workspace.profile), scores, {}, 100, seed=0) is None
