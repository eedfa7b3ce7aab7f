from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.errors import StaleArtifactError
from benchmark.jobs import ReportJob
from benchmark.published.results import PublishedResult
from benchmark.reporting.own_scores import KEY, OwnScores, read_own_scores
from benchmark.reporting.results import BANNER
from benchmark.statistics.rows import AccuracyRow, read_rows
from benchmark.workspace import Workspace
from tests.statistics.synthetic import REASON

Project = tuple[ReportJob, Workspace]
GROUPS = {"two_tasks": ("esc10", "us8k"), "three_tasks": ("esc10", "us8k", "gtzan")}


def result(**changes: object) -> PublishedResult:
    """A published number whose key is that of SimCLR on ESC-10 in the synthetic study."""
    fields = {
        "paper": "small", "table": "t", "row": "r", "column": "c", "method": "simclr", "encoder": "cnn",
        "pretrain_dataset": "urbansound8k", "task": "esc10", "protocol": "linear", "train_size": "full",
        "metric": "accuracy", "value": 80.0, "unit": "percent", "uncertainty": None, "ours_or_prior": "this", "note": "",
    }  # fmt: skip
    return PublishedResult(**{**fields, **changes})


@pytest.fixture(scope="module")
def own(project: Project) -> OwnScores:
    return read_own_scores(project[1].results / "scores", GROUPS)


def test_an_accuracy_comes_with_its_interval(project: Project, own: OwnScores):
    rows = read_rows(project[1].results / "scores" / "summary.csv", AccuracyRow)
    row = next(row for row in rows if row.cell == ("simclr", "esc10", "linear", "full"))
    found = own.find(result())
    assert (found.value, found.lower, found.upper, found.seeds) == (row.accuracy, row.lower, row.upper, 3)
    assert own.banner == BANNER


def test_the_mean_over_a_group_of_tasks_is_the_mean_of_its_tasks(own: OwnScores):
    found = own.find(result(task="two_tasks"))
    tasks = [own.find(result(task=task)).value for task in ("esc10", "us8k")]
    assert found.value == pytest.approx(np.mean(tasks), abs=1e-6)
    assert (found.lower, found.upper) == (None, None)


def test_a_group_lacking_a_task_has_no_mean(own: OwnScores):
    assert own.find(result(task="three_tasks")).reason == "no score with task three_tasks"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"paper": "fonseca2021"}, "no run of study fonseca2021"),
        ({"method": "moco"}, "no score with method moco"),
        ({"variant": "tau=0.1"}, "no score with variant tau=0.1"),
        ({"protocol": "knn"}, "no score with protocol knn"),
        ({"train_size": "1k"}, "no score with train_size 1k"),
        ({"metric": "map"}, "no score with metric map"),
        ({"ours_or_prior": "prior"}, "another system's number, which small quotes and did not measure"),
        ({"pretrain_dataset": "none"}, REASON),
    ],
)
def test_where_there_is_none_it_says_why(own: OwnScores, change: dict[str, str], reason: str):
    found = own.find(result(**change))
    assert (found.value, found.reason) == (None, reason)


def test_a_snapshot_is_not_the_runs_score(own: OwnScores):
    final, early = own.find(result()), own.find(result(variant="step=100"))
    assert final.value is not None
    assert early.value == pytest.approx(final.value / 2, abs=1e-6)


def test_two_runs_of_one_key_are_not_chosen_between():
    row = dict.fromkeys(KEY, "x") | {"value": 0.5, "lower": 0.4, "upper": 0.6, "seeds": 3, "reason": ""}
    scores = OwnScores(pd.DataFrame([row | {"run": "a"}, row | {"run": "b"}]))
    found = scores.find(result(**dict.fromkeys(KEY[1:], "x"), paper="x"))
    assert (found.value, found.reason) == (None, "several runs are this cell: a, b")


def test_results_that_are_not_there_are_asked_for(tmp_path: Path):
    with pytest.raises(StaleArtifactError, match="dvc repro"):
        read_own_scores(tmp_path, GROUPS)
