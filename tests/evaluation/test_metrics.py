from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score
from sklearn.metrics import log_loss as sklearn_log_loss

from benchmark.evaluation.metrics import accuracy, class_mean_accuracy, log_loss, top_k_accuracy


@pytest.fixture
def predictions() -> tuple[np.ndarray, np.ndarray]:
    """Labels of unequal classes and scores that favour them."""
    rng = np.random.default_rng(0)
    labels = rng.choice(4, 60, p=[0.6, 0.2, 0.15, 0.05])
    return labels, rng.random((60, 4)) + 0.4 * np.eye(4)[labels]


def test_agree_with_scikit_learn(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = predictions
    guesses = scores.argmax(1)
    assert accuracy(labels, guesses) == pytest.approx(accuracy_score(labels, guesses))
    assert class_mean_accuracy(labels, guesses) == pytest.approx(balanced_accuracy_score(labels, guesses))
    for k in (1, 2, 3):
        assert top_k_accuracy(labels, scores, k) == pytest.approx(top_k_accuracy_score(labels, scores, k=k))
    shares = scores / scores.sum(1, keepdims=True)
    assert log_loss(labels, shares) == pytest.approx(sklearn_log_loss(labels, shares))


def test_an_absent_class_does_not_count() -> None:
    labels, guesses = np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
    assert class_mean_accuracy(labels, guesses) == pytest.approx((0.5 + 1.0) / 2)


def test_the_lower_index_wins_a_tie() -> None:
    scores = np.array([[0.5, 0.5, 0.0]])
    assert top_k_accuracy(np.array([0]), scores, 1) == 1.0
    assert top_k_accuracy(np.array([1]), scores, 1) == 0.0


def test_a_certain_error_has_a_finite_loss() -> None:
    assert np.isfinite(log_loss(np.array([0]), np.array([[0.0, 1.0]])))


@pytest.mark.parametrize("metric", [accuracy, class_mean_accuracy])
@pytest.mark.parametrize(("labels", "guesses"), [([], []), ([0, 1], [0])])
def test_nothing_to_score_is_refused(metric, labels: list[int], guesses: list[int]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="cannot score"):
        metric(np.array(labels), np.array(guesses))
