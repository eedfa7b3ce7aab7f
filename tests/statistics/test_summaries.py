"""Normalised accuracy as published: against plain Python."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.config import Study
from benchmark.jobs import ReportJob, ReportRun
from benchmark.statistics.summaries import NOT_ASKED, UNDEFINED, SummaryRow, SummaryTaskRow, summaries

TASKS = ("a", "b", "c")


def study(**changes: Any) -> Study:
    run = {"title": "R", "method": "m", "encoder": "e", "evaluate": TASKS, "protocols": ("linear", "tuned")}
    column = {"title": "Frozen", "protocol": "linear", "train_size": 20}
    tuned = {"title": "Tuned", "protocol": "tuned", "train_size": 20}
    return Study.model_validate(
        {
            "id": "s",
            "title": "S",
            "tasks": TASKS,
            "protocols": {
                "linear": {"head": "adam", "unit": "slice"},
                "tuned": {"head": "fine_tune", "unit": "slice"},
                "scratch": {"head": "fine_tune", "start": "random", "unit": "slice"},
            },
            "runs": {"run": run, "low": run, "high": {**run, "protocols": ("scratch",)}},
            "tables": {},
            "untrained_protocols": {"tuned": "linear"},
            "summaries": {"t": {"caption": "T", "rows": ("run",), "tasks": TASKS, "columns": (column, tuned)}},
            **changes,
        }
    )


def job(runs: dict[str, ReportRun]) -> ReportJob:
    return ReportJob(
        profile="p", standin=True, seed=3, bootstrap=4000, studies=("s",), runs={"s": runs}, code="c", metrics={}
    )


def facts() -> dict[str, ReportRun]:
    common = {"title": "R", "seeds": (0,), "transductive": False}
    own = ReportRun(names=("run-0",), untrained="low", supervised=dict.fromkeys(TASKS, "high"), **common)
    return {
        "run": own,
        "low": ReportRun(names=("low-0",), untrained=None, supervised={}, **common),
        "high": ReportRun(names=("high-0",), untrained=None, supervised={}, **common),
    }


def score(run: str, task: str, protocol: str, value: float, head_seed: int = 0, **changes: str) -> dict[str, str]:
    row = {"study": "s", "run": run, "task": task, "protocol": protocol, "train_size": "20", "variant": "default"}
    row |= {"split": "test", "pretrain_seed": "0", "head_seed": str(head_seed), "fold": "mean", "metric": "accuracy"}
    return {**row, "value": str(value), "unit": "slice", "status": "ok", **changes}


RUN = {"a": (0.5, 0.7), "b": (0.6, 0.6), "c": (0.2, 0.3)}
LOW = {"a": (0.2, 0.4), "b": (0.5, 0.5), "c": (0.3, 0.3)}
HIGH = {"a": (0.9, 0.8), "b": (0.6, 0.7), "c": (0.8, 0.8)}


def table() -> pd.DataFrame:
    rows = [
        score(run, task, protocol, value, replica)
        for run, protocol, values in [
            ("run", "linear", RUN),
            ("run", "tuned", HIGH),
            ("low", "linear", LOW),
            ("high", "scratch", HIGH),
        ]
        for task, pair in values.items()
        for replica, value in enumerate(pair)
    ]
    noise = [
        score("run", "a", "linear", 0.99, unit="clip"),
        score("run", "a", "linear", 0.99, fold="1"),
        score("run", "a", "linear", 0.99, variant="step=100"),
        score("run", "a", "linear", 0.99, metric="class_mean_accuracy"),
        score("run", "a", "linear", 0.99, train_size="full"),
    ]
    return pd.DataFrame([*rows, *noise])


def expected(task: str) -> list[float]:
    low, high = statistics.mean(LOW[task]), statistics.mean(HIGH[task])
    return [(value - low) / (high - low) for value in RUN[task]]


def found(scores: pd.DataFrame, **changes: Any) -> tuple[list[SummaryRow], list[SummaryTaskRow]]:
    runs = facts()
    return summaries(study(**changes), runs, scores, job(runs))


def test_equation_one_of_every_replica_averaged_over_replicas_then_tasks():
    rows, details = found(table())
    frozen = [row for row in details if row.protocol == "linear"]
    assert [row.value for row in frozen] == pytest.approx([statistics.mean(expected(task)) for task in TASKS])
    assert [row.spread for row in frozen] == pytest.approx([statistics.stdev(expected(task)) for task in TASKS])
    assert rows[0].value == pytest.approx(statistics.mean(statistics.mean(expected(task)) for task in TASKS))
    assert (rows[0].tasks, frozen[0].replicas) == (3, 2)


def test_fine_tuned_runs_are_normalised_by_the_frozen_untrained():
    rows, details = found(table())
    assert all(row.untrained == pytest.approx(statistics.mean(LOW[row.task])) for row in details)
    assert rows[1].value == pytest.approx(1.0)  # the same accuracies as from scratch


def test_the_figure_is_the_spread_of_means_over_resampled_tasks():
    values = np.array([statistics.mean(expected(task)) for task in TASKS])
    error = values.std() / np.sqrt(len(values))  # of a bootstrap mean, in the limit of many resamples
    row = found(table())[0][0]
    assert row.spread == pytest.approx(error, rel=0.35)  # 50 resamples
    assert row.lower is not None
    assert row.upper is not None
    assert row.value is not None
    assert values.min() <= row.lower < row.value < row.upper <= values.max()


def test_a_mean_with_a_gap_has_no_value_and_says_why():
    scores = table()
    rows, details = found(scores[~((scores["run"] == "low") & (scores["task"] == "b"))])
    assert (rows[0].value, rows[0].tasks, rows[0].reason) == (None, 2, "no slices of low were scored here")
    assert [row.task for row in details if row.value is None and row.protocol == "linear"] == ["b"]


def test_a_setting_that_no_run_was_asked_for_says_so():
    scores = table()
    rows, _ = found(scores[scores["train_size"] == "full"])
    assert {row.reason for row in rows} == {NOT_ASKED}


def test_equal_references_divide_nothing_and_are_counted():
    scores = table()
    scores.loc[(scores["run"] == "high") & (scores["task"] == "b"), "value"] = "0.5"
    rows, details = found(scores)
    assert [row.task for row in details if row.reason == UNDEFINED] == ["b", "b"]
    assert rows[0].value == pytest.approx(statistics.mean(statistics.mean(expected(task)) for task in "ac"))
    assert (rows[0].tasks, rows[0].reason) == (2, f"without 1 of 3 tasks: {UNDEFINED}")
    scores.loc[scores["run"] == "high", "value"] = "0.3"
    scores.loc[scores["run"] == "low", "value"] = "0.3"
    rows, _ = found(scores)
    assert (rows[0].value, rows[0].reason) == (None, UNDEFINED)


def test_a_run_that_the_profile_leaves_out_says_so():
    runs = {name: each for name, each in facts().items() if name != "run"}
    rows, _ = summaries(study(), runs, table(), job(runs))
    assert {row.reason for row in rows} == {"this profile leaves the run out"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"untrained_protocols": {"tuned": "linaer"}}, "untrained_protocols names the undeclared protocol 'linaer'"),
        (
            {"figures": {"f": {"caption": "F", "summary": "t", "by": "run", "columns": ("Frzen",), "rows": ("run",)}}},
            "figure f names the undeclared column 'Frzen'",
        ),
        (
            {"figures": {"f": {"caption": "F", "summary": "u", "by": "run", "columns": (), "rows": ()}}},
            "figure f names the undeclared summary 'u'",
        ),
    ],
)
def test_a_study_that_names_what_it_does_not_declare_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        study(**changes)
