from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.config import Protocol
from benchmark.corpus.splits import Fold
from benchmark.evaluation.embedding import Embeddings
from benchmark.evaluation.protocols import Material, Outcome, best_candidate, run_protocol
from benchmark.evaluation.rows import score_rows

CLASSES, CLIPS, SLICES = 3, 60, 3
PROTOCOLS: dict[str, dict[str, Any]] = {
    "converged": {"head": "converged", "regularisers": (0.01, 1.0)},
    "adam": {"head": "adam", "lr": 0.05, "steps": 60, "batch_size": 16, "unit": "slice", "replicas": 2},
    "knn": {"head": "knn", "neighbours": (1, 5, 200)},
    "few": {"head": "converged", "regularisers": (0.1,), "train_sizes": (2, 4, "full"), "replicas": 3},
}


def protocol(name: str = "converged", **changes: Any) -> Protocol:
    return Protocol(**{**PROTOCOLS[name], **changes})


def folds() -> tuple[Fold, ...]:
    """Three folds, each clip tested once."""
    part = np.arange(CLIPS) // CLASSES % 3
    nothing = np.empty(0, np.int64)
    made = []
    for number in range(3):
        rest = np.flatnonzero(part != number)
        valid = np.isin(rest // CLASSES % 6, [(number + 1) % 3])
        made.append(Fold(str(number + 1), rest[~valid], rest[valid], np.flatnonzero(part == number), nothing))
    return tuple(made)


@pytest.fixture
def material() -> Material:
    """Clips of three slices each whose classes overlap a little."""
    generator = np.random.default_rng(0)
    labels = np.arange(CLIPS) % CLASSES
    centres = 2.0 * generator.normal(size=(CLASSES, 6))
    of_slice = np.repeat(np.arange(CLIPS), SLICES)
    slices = 4 + centres[labels[of_slice]] + 1.5 * generator.normal(size=(len(of_slice), 6))
    embeddings = Embeddings(slices.astype(np.float32), of_slice, np.zeros(len(of_slice), bool))
    return Material(embeddings, labels, CLASSES, folds(), "task", None)


def accuracies(outcomes: list[Outcome], material: Material) -> np.ndarray:
    return np.array([(outcome.predictions == material.labels[outcome.test]).mean() for outcome in outcomes])


def same(first: list[Outcome], second: list[Outcome]) -> bool:
    return all(
        np.array_equal(a.predictions, b.predictions) and np.array_equal(a.slice_predictions, b.slice_predictions)
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_head_learns_and_predicts_each_test_clip(name: str, material: Material) -> None:
    outcomes = run_protocol(protocol(name), material, 0)
    assert accuracies(outcomes, material).mean() > 0.75
    for outcome in outcomes:
        expected = {fold.name: fold.test for fold in material.folds}[outcome.fold]
        assert outcome.test.tolist() == expected.tolist()
        assert len(outcome.predictions) == len(expected)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_test_labels_change_nothing_but_the_score(name: str, material: Material) -> None:
    """Nothing that is chosen or trained may look at a test label: one fold, its test labels permuted."""
    one = replace(material, folds=material.folds[:1])
    labels = one.labels.copy()
    labels[one.folds[0].test] = (labels[one.folds[0].test] + 1) % CLASSES
    before, after = run_protocol(protocol(name), one, 0), run_protocol(protocol(name), replace(one, labels=labels), 0)
    assert same(before, after)
    assert [outcome.chosen for outcome in before] == [outcome.chosen for outcome in after]
    assert accuracies(before, one).mean() > 0.7 > 0.3 > accuracies(after, replace(one, labels=labels)).mean()


@pytest.mark.parametrize("name", ["converged", "knn"])
def test_test_features_do_not_reach_the_training(name: str, material: Material) -> None:
    """Standardisation and training come from the training part alone: another test clip leaves the others' fate."""
    one = replace(material, folds=material.folds[:1])
    slices = one.embeddings.slices.copy()
    spoilt = one.folds[0].test[0]
    slices[one.embeddings.clip_of_slice == spoilt] = 1e4
    other = replace(one, embeddings=replace(one.embeddings, slices=slices))
    before, after = run_protocol(protocol(name), one, 0)[0], run_protocol(protocol(name), other, 0)[0]
    assert before.predictions[1:].tolist() == after.predictions[1:].tolist()
    assert before.chosen == after.chosen


@pytest.mark.parametrize("name", PROTOCOLS)
def test_two_runs_are_equal(name: str, material: Material) -> None:
    assert same(run_protocol(protocol(name), material, 0), run_protocol(protocol(name), material, 0))


def test_the_best_candidate_is_returned_not_the_last() -> None:
    labels = np.array([0, 1, 1])
    right = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    unsure = np.array([[0.6, 0.4], [0.4, 0.6], [0.4, 0.6]])
    wrong = right[:, ::-1]
    assert best_candidate([wrong, right, wrong], labels) == 1
    assert best_candidate([unsure, right, wrong], labels) == 1  # equal accuracy: lower log-loss
    assert best_candidate([right, right, right], labels) == 0  # equal in both: the strongest regularisation


def test_the_regulariser_is_chosen_by_validation(material: Material) -> None:
    outcomes = run_protocol(protocol(regularisers=(1e-6, 1.0)), material, 0)
    assert {outcome.chosen for outcome in outcomes} == {1.0}


def test_a_slice_protocol_scores_slices_and_clips(material: Material) -> None:
    outcome = run_protocol(protocol("adam"), material, 0)[0]
    rows = list(score_rows({}, outcome, material, ""))
    counts = {(row["unit"], row["metric"]): row["n"] for row in rows}
    assert counts == {
        (unit, metric): len(outcome.test) * (SLICES if unit == "slice" else 1)
        for unit in ("clip", "slice")
        for metric in ("accuracy", "class_mean_accuracy")
    }


def test_train_sizes_and_replicas_span_the_grid(material: Material) -> None:
    outcomes = run_protocol(protocol("few"), material, 0)
    grid = [(outcome.fold, outcome.train_size, outcome.head_seed) for outcome in outcomes]
    few = [(fold, size, seed) for fold in "123" for size in ("2", "4") for seed in range(3)]
    assert sorted(grid) == sorted([*few, *[(fold, "full", 0) for fold in "123"]])  # nothing varies on all clips


def test_a_subset_that_cannot_be_drawn_says_why_and_the_rest_is_scored(material: Material) -> None:
    outcomes = run_protocol(protocol("few", train_sizes=(2, 500), replicas=1), material, 0)
    failed = [outcome for outcome in outcomes if outcome.reason]
    assert len(failed) == 3
    assert "500" in failed[0].reason
    row = next(score_rows({}, failed[0], material, ""))
    assert (row["status"], row["value"], row["n"]) == ("not run", None, 0)


def test_shuffled_labels_score_at_chance(material: Material) -> None:
    shuffled = run_protocol(protocol(shuffled_labels=True, replicas=8), material, 0)
    assert len({tuple(outcome.predictions) for outcome in shuffled if outcome.fold == "1"}) > 1
    assert 0.15 < accuracies(shuffled, material).mean() < 0.55
    assert accuracies(run_protocol(protocol(), material, 0), material).mean() > 0.8


def test_the_own_classifier_is_applied_to_slices_and_averaged(material: Material) -> None:
    head = nn.Linear(6, CLASSES)
    outcomes = run_protocol(Protocol(head="own", unit="slice"), replace(material, head=head), 0)
    with torch.no_grad():
        shares = head(torch.from_numpy(material.embeddings.slices)).softmax(1).numpy().reshape(CLIPS, SLICES, CLASSES)
    for outcome in outcomes:
        assert outcome.predictions.tolist() == shares.mean(1)[outcome.test].argmax(1).tolist()
        assert outcome.slice_predictions.tolist() == shares[outcome.test].argmax(2).reshape(-1).tolist()
