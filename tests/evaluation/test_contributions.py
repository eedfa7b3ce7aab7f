from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    label_ranking_average_precision_score,
    roc_auc_score,
)

from benchmark.errors import ConfigError
from benchmark.evaluation import metrics
from benchmark.evaluation.contributions import BY_SCORE, contributions, of_accuracy, of_class_mean_accuracy
from benchmark.statistics.bootstrap import grouped_replicates

NOTHING = np.empty(0, np.int64)
VALUES = {"map": metrics.mean_average_precision, "mauc": metrics.macro_auc, "lwlrap": metrics.lwlrap}


def answers(n: int = 300, ties: bool = False, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets of four classes of unequal frequency, one of a single clip and one absent, and scores that favour them."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((n, 6)) < [0.5, 0.2, 0.1, 0.05, 0.0, 0.0]).astype(np.uint8)
    targets[7, 4] = 1
    scores = generator.normal(size=(n, 6)) + 1.5 * targets
    return targets, np.round(scores) if ties else scores


def weighted(metric: str, targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """The metric with clips weighted, by scikit-learn."""
    function = average_precision_score if metric == "map" else roc_auc_score
    classes = [number for number in range(targets.shape[1]) if targets[:, number].any()]
    return float(np.mean([function(targets[:, c], scores[:, c], sample_weight=weights) for c in classes]))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("metric", VALUES)
def test_their_sum_is_the_metric(metric: str, ties: bool) -> None:
    targets, scores = answers(ties=ties)
    assert contributions(metric, targets, NOTHING, scores).value == pytest.approx(
        VALUES[metric](targets, scores), abs=1e-12
    )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("metric", ["map", "mauc"])
def test_a_pseudo_value_is_the_derivative_by_a_clips_weight(metric: str, ties: bool) -> None:
    targets, scores = answers(60, ties)
    found = contributions(metric, targets, NOTHING, scores)
    step = 1e-5
    for clip in (*range(0, 60, 4), 7):  # of clip 7 a class has no other
        more, less = np.ones(60), np.ones(60)
        more[clip], less[clip] = 1 + step, 1 - step
        slope = (weighted(metric, targets, scores, more) - weighted(metric, targets, scores, less)) / (2 * step)
        assert found.credit[clip] == pytest.approx(found.value + 60 * slope, abs=1e-4)


def test_class_mean_accuracy_has_the_derivative_of_scikit_learns() -> None:
    generator = np.random.default_rng(1)
    labels = generator.choice(3, 50, p=[0.7, 0.2, 0.1])
    predictions = np.where(generator.random(50) < 0.6, labels, (labels + 1) % 3)
    found = of_class_mean_accuracy(labels, predictions)
    assert found.value == pytest.approx(balanced_accuracy_score(labels, predictions))
    for clip in range(50):
        weights = np.ones(50)
        weights[clip] += 1e-6
        slope = (balanced_accuracy_score(labels, predictions, sample_weight=weights) - found.value) / 1e-6
        assert found.credit[clip] == pytest.approx(found.value + 50 * slope, abs=1e-3)


@pytest.mark.parametrize("metric", ["map", "mauc", "lwlrap"])
def test_the_linearised_bootstrap_is_the_full_one(metric: str) -> None:
    """Sources of three clips: recomputing the metric on each resample spreads as the ratio of resampled sums does."""
    targets, scores = answers(450, seed=3)
    targets, scores = targets[:, :3], scores[:, :3]
    credit, mass = (part.reshape(-1, 3).sum(1) for part in contributions(metric, targets, NOTHING, scores))
    linear = grouped_replicates(credit, mass, 4000, np.random.default_rng(0))
    generator = np.random.default_rng(1)
    rows = (3 * generator.integers(0, 150, (150, 150))[:, :, None] + np.arange(3)).reshape(150, -1)
    full = of_resamples(metric, targets, scores, rows)
    assert linear.std() == pytest.approx(full.std(), rel=0.15)
    assert linear.mean() == pytest.approx(full.mean(), abs=0.3 * full.std())


def of_resamples(metric: str, targets: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The metric of each resample. Lwlrap is scikit-learn's of each clip, averaged over labels, since that loops over clips."""
    if metric != "lwlrap":
        return np.array([VALUES[metric](targets[own], scores[own]) for own in rows])
    labels = targets.sum(axis=1)
    pairs = zip(targets[:, None], scores[:, None], strict=True)
    of_clip = np.array([label_ranking_average_precision_score(*pair) for pair in pairs])
    full = (of_clip * labels)[rows].sum(axis=1) / labels[rows].sum(axis=1)
    for value, own in zip(full[:5], rows, strict=False):
        assert value == pytest.approx(VALUES[metric](targets[own], scores[own]), abs=1e-12)
    return full


def test_of_lwlrap_credit_is_the_precision_at_each_label() -> None:
    targets = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.5, 0.5, 0.1, 0.1], [1.0, 0.0, 0.0, 0.0]])
    credit, mass = contributions("lwlrap", targets, NOTHING, scores)
    np.testing.assert_allclose(credit, [1 / 1 + 2 / 3, 1 / 2, 0.0])  # the tie counts against the label
    np.testing.assert_array_equal(mass, [2, 1, 0])


def test_of_accuracy_they_are_the_correct_clips() -> None:
    credit, mass = of_accuracy(np.array([0, 1, 2]), np.array([0, 2, 2]))
    assert (credit.tolist(), mass.tolist()) == ([1, 0, 1], [1, 1, 1])


def test_a_binary_task_is_scored_by_its_positive_class() -> None:
    labels, scores = np.array([0, 1, 1, 0]), np.array([[0.1], [0.9], [0.4], [0.5]])
    assert contributions("auc", labels, NOTHING, scores).value == pytest.approx(0.75)
    assert contributions("accuracy", labels, np.array([0, 1, 0, 1]), scores).value == 0.5


@pytest.mark.parametrize("metric", BY_SCORE)
def test_without_a_positive_clip_nothing_is_defined(metric: str) -> None:
    found = contributions(metric, np.zeros((4, 3), np.uint8), NOTHING, np.ones((4, 3)))
    assert np.isnan(found.value)


@pytest.mark.parametrize(
    ("metric", "labels"), [("f1", np.array([0, 1])), ("map", np.array([0, 1])), ("accuracy", np.eye(2, dtype=np.uint8))]
)
def test_a_metric_of_another_kind_of_task_is_refused(metric: str, labels: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="cannot be the headline metric"):
        contributions(metric, labels, np.array([0, 1]), np.zeros((2, 2 if labels.ndim == 2 else 0)))
