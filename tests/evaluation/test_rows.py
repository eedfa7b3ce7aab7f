from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from benchmark.artifacts import content_hash
from benchmark.columns import CURVE_COLUMNS, PREDICTION_COLUMNS, SCORE_COLUMNS
from benchmark.config import Machine, Protocol
from benchmark.evaluation.embedding import Embeddings
from benchmark.evaluation.protocols import Material, Outcome
from benchmark.evaluation.rows import (
    MEAN,
    Row,
    curve_rows,
    not_run,
    prediction_rows,
    score_base,
    score_rows,
    score_table,
    with_means,
)
from benchmark.jobs import EvaluateJob

PROTOCOL = Protocol(head="knn", neighbours=(1,))
NOTHING = np.empty(0, np.int64)
JOB = EvaluateJob(
    study="s",
    profile="tiny",
    run="toy",
    name="toy-3",
    method="m",
    encoder="e",
    seed=3,
    machine=Machine(),
    code="c",
    versions={},
    pretrain_dataset="esc50",
    variant="default",
    transductive=False,
    tasks=(),
    protocols={"knn": PROTOCOL},
    snapshot_protocol="knn",
)


def base(**changes: str) -> Row:
    return {**score_base(JOB, "pitch", "knn", PROTOCOL, variant="default", weights="w", data="d"), **changes}


@pytest.fixture
def material() -> Material:
    """9 clips of two slices; unequal classes."""
    embeddings = Embeddings(np.zeros((18, 1), np.float32), np.repeat(np.arange(9), 2), np.zeros(18, bool))
    return Material(embeddings, np.array([0, 0, 0, 0, 1, 1, 2, 2, 1]), 3, (), "pitch", None)


@pytest.fixture
def outcome() -> Outcome:
    test, slices = np.array([1, 2, 4, 5, 6]), np.array([2, 3, 4, 5, 8, 9, 10, 11, 12, 13])
    return Outcome("1", "full", 2, test, np.array([0, 1, 1, 2, 2]), slices, np.array([0, 0, 1, 0, 1, 2, 0, 1, 2, 2]))


def test_values_are_scikit_learns(material: Material, outcome: Outcome) -> None:
    rows = list(score_rows(base(), outcome, material, "flag"))
    clip_labels = material.labels[outcome.test]
    slice_labels = np.repeat(clip_labels, 2)
    expected = {
        ("clip", "accuracy"): accuracy_score(clip_labels, outcome.predictions),
        ("clip", "class_mean_accuracy"): balanced_accuracy_score(clip_labels, outcome.predictions),
        ("slice", "accuracy"): accuracy_score(slice_labels, outcome.slice_predictions),
        ("slice", "class_mean_accuracy"): balanced_accuracy_score(slice_labels, outcome.slice_predictions),
    }
    assert {(row["unit"], row["metric"]): row["value"] for row in rows} == pytest.approx(expected)
    assert len(set(expected.values())) == 4
    assert {(row["unit"], row["n"]) for row in rows} == {("clip", 5), ("slice", 10)}
    facts = {"fold": "1", "train_size": "full", "head_seed": 2, "status": "ok", "reason": "flag"}
    assert all(row[key] == value for row in rows for key, value in facts.items())


def test_a_head_on_clips_has_no_slice_rows(material: Material) -> None:
    clips_only = Outcome("1", "full", 0, np.array([0]), np.array([0]), NOTHING, NOTHING)
    assert {row["unit"] for row in score_rows(base(), clips_only, material, "")} == {"clip"}


def test_a_curve_has_a_row_for_each_step_at_which_the_metric_is_defined(outcome: Outcome) -> None:
    watched = replace(outcome, curve=np.array([[100, 0.25], [200, -1.0], [250, 0.5]]))
    rows = list(curve_rows(base(), watched, "accuracy"))
    assert [(row["step"], row["value"]) for row in rows] == [(100, 0.25), (250, 0.5)]
    assert all(list(row) == CURVE_COLUMNS for row in rows)
    assert {(row["name"], row["fold"], row["head_seed"], row["metric"]) for row in rows} == {
        ("toy-3", "1", 2, "accuracy")
    }
    assert list(curve_rows(base(), outcome, "accuracy")) == []


def test_a_row_says_what_was_scored() -> None:
    assert base() == {
        "study": "s",
        "run": "toy",
        "name": "toy-3",
        "method": "m",
        "encoder": "e",
        "pretrain_dataset": "esc50",
        "variant": "default",
        "task": "pitch",
        "protocol": "knn",
        "split": "test",
        "pretrain_seed": 3,
        "weights_hash": "w",
        "data_hash": "d",
        "protocol_hash": content_hash(PROTOCOL.model_dump(mode="json")),
        "code_hash": "c",
    }
    other = PROTOCOL.model_copy(update={"version": 2})
    again = score_base(JOB, "pitch", "knn", other, variant="default", weights="w", data="d")
    assert again["protocol_hash"] != base()["protocol_hash"]


def test_a_cell_that_was_not_run_has_a_row_for_each_train_size(material: Material) -> None:
    rows = list(not_run(base(), (10, "full"), "no audio"))
    assert [(row["train_size"], row["status"], row["reason"], row["value"], row["n"]) for row in rows] == [
        ("10", "not run", "no audio", None, 0),
        ("full", "not run", "no audio", None, 0),
    ]
    failed = Outcome("4", "50", 1, np.array([0]), NOTHING, NOTHING, NOTHING, reason="too few")
    (row,) = score_rows(base(), failed, material, "transductive")
    assert (row["fold"], row["train_size"], row["head_seed"], row["status"], row["reason"]) == (
        "4",
        "50",
        1,
        "not run",
        "too few",
    )


def scored(fold: str, value: float, n: int, **changes: object) -> Row:
    shared = {"train_size": "full", "head_seed": 0, "metric": "accuracy", "unit": "clip", "status": "ok", "reason": ""}
    return {**base(), **shared, "fold": fold, "value": value, "n": n, **changes}


def test_means_average_the_folds_of_each_head_metric_and_unit() -> None:
    rows = [scored("1", 0.5, 10), scored("2", 1.0, 30)]
    rows += [{**row, "head_seed": 1, "value": 0.25} for row in rows] + [{**row, "unit": "slice"} for row in rows]
    means = [row for row in with_means(rows) if row["fold"] == MEAN]
    assert [(row["head_seed"], row["unit"], row["value"], row["n"]) for row in means] == [
        (0, "clip", 0.75, 40),  # of folds, not of clips
        (1, "clip", 0.25, 40),
        (0, "slice", 0.75, 40),
    ]
    assert with_means(rows)[: len(rows)] == rows
    assert {row["weights_hash"] for row in means} == {"w"}


def test_a_mean_of_several_weights_has_a_hash_of_its_own() -> None:
    parts = [scored("1", 0.5, 10, weights_hash="a"), scored("2", 1.0, 30, weights_hash="b")]
    (mean,) = [row for row in with_means(parts) if row["fold"] == MEAN]
    (again,) = [row for row in with_means(parts[::-1]) if row["fold"] == MEAN]
    assert mean["weights_hash"] == again["weights_hash"]
    assert mean["weights_hash"] not in {"a", "b"}


def test_cells_that_were_not_run_have_no_mean() -> None:
    assert with_means(list(not_run(base(), ("full",), "no audio"))) == list(not_run(base(), ("full",), "no audio"))


def test_the_table_has_its_columns_and_one_order() -> None:
    rows = with_means([scored("1", 0.5, 10), scored("2", 1.0, 30), scored("1", 0.2, 5, train_size="10")])
    rows += list(not_run(base(task="gone"), ("full",), "no audio"))
    table = score_table(rows)
    assert list(table.columns) == SCORE_COLUMNS
    shuffled = [rows[index] for index in np.random.default_rng(0).permutation(len(rows))]
    assert score_table(shuffled).to_csv() == table.to_csv()
    assert table["task"].is_monotonic_increasing


def test_predictions_are_those_of_test_clips(material: Material, outcome: Outcome) -> None:
    names = [f"clip{number}" for number in range(9)]
    clips = pd.DataFrame({"clip_id": names, "group": [f"group-{name}" for name in names]})
    table = prediction_rows(base(), outcome, material, clips)
    assert list(table.columns) == PREDICTION_COLUMNS
    assert table["clip_id"].tolist() == ["clip1", "clip2", "clip4", "clip5", "clip6"]
    assert table["group"].tolist() == ["group-" + name for name in table["clip_id"]]
    assert table["label"].tolist() == [0, 0, 1, 1, 2]
    assert table["prediction"].tolist() == outcome.predictions.tolist()
    assert table["credit"].tolist() == [1.0, 0.0, 1.0, 0.0, 1.0]
    assert table["mass"].tolist() == [1.0] * 5
    assert set(zip(table["name"], table["fold"], table["head_seed"], strict=True)) == {("toy-3", "1", 2)}
