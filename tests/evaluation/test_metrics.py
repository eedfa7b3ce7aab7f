from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    label_ranking_average_precision_score,
    top_k_accuracy_score,
)
from sklearn.metrics import log_loss as sklearn_log_loss

from benchmark.evaluation.metrics import (
    accuracy,
    average_precision,
    binary_log_loss,
    class_mean,
    class_mean_accuracy,
    confusion,
    dprime,
    log_loss,
    lwlrap,
    macro_auc,
    mean_average_precision,
    precision_recall_f1,
    ranks,
    roc_auc,
    top_k_accuracy,
)


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


def naive_average_precision(positive: np.ndarray, scores: np.ndarray) -> float:
    """Step by step down the distinct scores."""
    value = recalled = 0.0
    for threshold in sorted(set(scores), reverse=True):
        above = scores >= threshold
        precision, recall = positive[above].mean(), positive[above].sum() / positive.sum()
        value += (recall - recalled) * precision
        recalled = recall
    return float(value)


def naive_auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Every pair of a positive and a negative clip."""
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive > 0] for b in scores[positive == 0]]
    return float(np.mean(pairs))


def naive_lwlrap(targets: np.ndarray, scores: np.ndarray) -> float:
    """The mean over labels of the precision at each."""
    found = []
    for truth, row in zip(targets, scores, strict=True):
        for label in np.flatnonzero(truth):
            above = row >= row[label]
            found.append(truth[above].sum() / above.sum())
    return float(np.mean(found))


@pytest.fixture(params=[False, True], ids=["distinct", "tied"])
def tagged(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """60 clips of five classes: one of a single clip, one that no clip has, one that all have."""
    rng = np.random.default_rng(5)
    targets = (rng.random((60, 5)) < [0.4, 0.1, 0.0, 0.0, 1.0]).astype(np.uint8)
    targets[3, 2] = 1
    scores = rng.normal(size=(60, 5)) + targets
    return targets, np.round(scores) if request.param else scores


def test_average_precision_and_auc_are_those_of_the_loops(tagged: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = tagged
    for number in (0, 1, 2):
        own = targets[:, number], scores[:, number]
        assert average_precision(targets, scores)[number] == pytest.approx(naive_average_precision(*own))
        assert roc_auc(targets, scores)[number] == pytest.approx(naive_auc(*own))
    assert average_precision(targets, scores)[4] == 1.0  # nothing but positives
    np.testing.assert_array_equal(np.isnan(average_precision(targets, scores)), [False, False, False, True, False])
    np.testing.assert_array_equal(np.isnan(roc_auc(targets, scores)), [False, False, False, True, True])


def test_means_are_over_the_classes_that_can_be_scored(tagged: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = tagged
    assert mean_average_precision(targets, scores) == pytest.approx(
        np.mean(average_precision(targets, scores)[[0, 1, 2, 4]])
    )
    assert macro_auc(targets, scores) == pytest.approx(np.mean(roc_auc(targets, scores)[[0, 1, 2]]))
    assert np.isnan(class_mean(np.array([np.nan])))


def test_a_class_of_one_clip_has_the_reciprocal_of_its_rank() -> None:
    targets, scores = np.array([[0], [1], [0], [0]]), np.array([[0.9], [0.5], [0.6], [0.1]])
    assert average_precision(targets, scores)[0] == pytest.approx(1 / 3)
    assert roc_auc(targets, scores)[0] == pytest.approx(1 / 3)


def test_equal_scores_say_nothing() -> None:
    targets, scores = np.array([[1], [0], [0], [0]]), np.zeros((4, 1))
    assert average_precision(targets, scores)[0] == 0.25
    assert roc_auc(targets, scores)[0] == 0.5


def test_lwlrap_is_the_loops_and_weighted_lrap(tagged: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = tagged
    weights = targets.sum(axis=1)
    assert lwlrap(targets, scores) == pytest.approx(naive_lwlrap(targets, scores))
    assert lwlrap(targets, scores) == pytest.approx(
        label_ranking_average_precision_score(targets, scores, sample_weight=weights)
    )
    one_each = np.eye(5, dtype=np.uint8)[np.arange(60) % 5]
    place = ranks(np.arange(60) % 5, np.argsort(np.argsort(scores, axis=1), axis=1))
    distinct = np.argsort(np.argsort(scores, axis=1), axis=1)
    assert lwlrap(one_each, distinct) == pytest.approx(np.mean(1 / (place + 1)))


def test_clips_without_a_label_do_not_count() -> None:
    targets, scores = np.array([[1, 0], [0, 0]]), np.array([[0.2, 0.1], [0.9, 0.8]])
    assert lwlrap(targets, scores) == 1.0
    assert np.isnan(lwlrap(targets[1:], scores[1:]))


def test_dprime_of_two_normals_a_distance_apart_is_the_distance() -> None:
    """Scores N(0, 1) and N(d, 1) have an AUC of Phi(d / sqrt(2))."""
    assert dprime(0.5) == 0.0
    assert dprime(0.973) == pytest.approx(2.73, abs=0.01)  # wang2021, table 4
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(size=20_000), rng.normal(1.5, size=20_000)])[:, None]
    targets = np.repeat([0, 1], 20_000)[:, None]
    assert dprime(macro_auc(targets, scores)) == pytest.approx(1.5, abs=0.03)
    assert dprime(1.0) == np.inf


def test_precision_recall_and_f1_are_counts() -> None:
    labels, guesses = np.array([0, 0, 0, 1, 2]), np.array([0, 1, 1, 1, 0])
    np.testing.assert_allclose(
        precision_recall_f1(labels, guesses, 4), [[1 / 2, 1 / 3, 0.4], [1 / 3, 1, 0.5], [0, 0, 0], [0, 0, 0]]
    )
    expected = [[1, 2, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert confusion(labels, guesses, 4).tolist() == expected


def test_binary_log_loss_is_the_mean_over_clips_and_classes() -> None:
    targets, shares = np.array([[1, 0], [0, 0]]), np.array([[0.8, 0.4], [0.5, 0.0]])
    expected = -np.mean(np.log([0.8, 0.6, 0.5, 1.0]))
    assert binary_log_loss(targets, shares) == pytest.approx(expected)
    assert np.isfinite(binary_log_loss(np.array([[1]]), np.array([[0.0]])))
