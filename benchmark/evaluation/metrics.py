"""Metrics of predictions and scores: pure functions of arrays, free of torch.

Conventions, the same for every metric:

- A class that cannot be scored (no positive clip for average precision; no positive or no negative one for AUC) gets nan,
  and means over classes are over the others; a mean over none is nan.
- Clips of equal score share one threshold, so that no order among them is assumed.
- Fractions, never percent. d' has no unit and is infinite at an AUC of 1.

scikit-learn is imported where it is used: importing it takes a third of the start of a stage, most of which score accuracy alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
Floats = NDArray[np.float64]
Targets = NDArray[np.integer]
"""Zeros and ones ``(n, C)``."""
Scores = NDArray[np.floating]
"""``(n, C)``, the higher the more likely."""


def accuracy(labels: Labels, predictions: Labels) -> float:
    """Fraction of ``predictions (n,)`` that equal ``labels (n,)``.

    Raises:
        ValueError: there is nothing to score, or the lengths differ.
    """
    _check(labels, predictions)
    return float(np.mean(labels == predictions))


def class_mean_accuracy(labels: Labels, predictions: Labels) -> float:
    """Accuracy of each class averaged over the classes that occur in ``labels (n,)``; absent classes do not count."""
    _check(labels, predictions)
    present, index = np.unique(labels, return_inverse=True)
    correct = np.bincount(index, weights=labels == predictions, minlength=len(present))
    return float(np.mean(correct / np.bincount(index, minlength=len(present))))


def ranks(labels: Labels, scores: Scores) -> NDArray[np.int64]:
    """How many classes stand before the label in each row of ``scores (n, K)``; of equals the lower index stands first."""
    _check(labels, scores)
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    before = np.arange(scores.shape[1]) < labels[:, None]
    standing: NDArray[np.int64] = ((scores > own) | ((scores == own) & before)).sum(axis=1)
    return standing


def top_k_accuracy(labels: Labels, scores: Scores, k: int) -> float:
    """Share of rows of ``scores (n, K)`` with their label among the ``k`` highest; of equals the lower index wins."""
    return float(np.mean(ranks(labels, scores) < k))


def log_loss(labels: Labels, probabilities: NDArray[np.floating]) -> float:
    """Mean negative log-probability of the labels under ``probabilities (n, K)``, clipped at the smallest double."""
    _check(labels, probabilities)
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


def binary_log_loss(targets: Targets, probabilities: Scores) -> float:
    """Mean over clips and classes of the negative log-probability of each yes or no, clipped at the smallest double."""
    _check(targets, probabilities)
    right = np.where(targets > 0, probabilities, 1.0 - probabilities).astype(np.float64)
    return float(-np.log(np.maximum(right, np.finfo(np.float64).tiny)).mean())


def average_precision(targets: Targets, scores: Scores) -> Floats:
    """Average precision ``(C,)`` of each class: the sum over thresholds of the rise in recall times the precision there.

    Nothing is interpolated. A class whose clips are all positive gets 1; one without a positive clip nan.
    """
    _check(targets, scores)
    from sklearn.metrics import average_precision_score

    return _by_class(average_precision_score, targets, scores, occurring(targets))


def roc_auc(targets: Targets, scores: Scores) -> Floats:
    """Area under the ROC curve ``(C,)`` of each class: how often a positive clip outscores a negative one, ties for half."""
    _check(targets, scores)
    from sklearn.metrics import roc_auc_score

    return _by_class(roc_auc_score, targets, scores, mixed(targets))


def occurring(targets: Targets) -> NDArray[np.bool_]:
    """Which classes ``(C,)`` have a positive clip."""
    return np.atleast_1d(targets.any(axis=0))


def mixed(targets: Targets) -> NDArray[np.bool_]:
    """Which classes ``(C,)`` have a positive and a negative clip."""
    both: NDArray[np.bool_] = occurring(targets) & (targets == 0).any(axis=0)
    return both


def class_mean(values: Floats) -> float:
    """Mean over the classes ``(C,)`` that are not nan; nan where none is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def mean_average_precision(targets: Targets, scores: Scores) -> float:
    """mAP: the class mean of :func:`average_precision`."""
    return class_mean(average_precision(targets, scores))


def macro_auc(targets: Targets, scores: Scores) -> float:
    """The class mean of :func:`roc_auc`."""
    return class_mean(roc_auc(targets, scores))


def dprime(auc: float) -> float:
    """d' = sqrt(2) times the standard normal quantile of an AUC; of the class mean of the AUCs (wang2021, section 4.2)."""
    from scipy.special import ndtri

    return float(np.sqrt(2.0) * ndtri(auc))


def lwlrap(targets: Targets, scores: Scores) -> float:
    """Label-weighted label-ranking average precision (the measure of FSDKaggle2019).

    The mean over all labels of all clips of the share of the clip's labels among the classes that score as high as the
    label or higher; classes of equal score count against the label. Clips without a label do not count.
    """
    from sklearn.metrics import label_ranking_average_precision_score

    _check(targets, scores)
    weights = targets.sum(axis=1)
    if not weights.any():
        return float("nan")
    return float(label_ranking_average_precision_score(targets, scores, sample_weight=weights))


def precision_recall_f1(labels: Labels, predictions: Labels, n_classes: int) -> Floats:
    """``(K, 3)``: precision, recall and F1 of each class; a ratio with an empty denominator is 0, as published tables have it."""
    from sklearn.metrics import precision_recall_fscore_support

    _check(labels, predictions)
    found = precision_recall_fscore_support(labels, predictions, labels=np.arange(n_classes), zero_division=0.0)
    return np.stack(found[:3], axis=1)


def confusion(labels: Labels, predictions: Labels, n_classes: int) -> NDArray[np.int64]:
    """``(K, K)`` clips of each class (down) by what they are predicted as (across)."""
    from sklearn.metrics import confusion_matrix

    _check(labels, predictions)
    counts: NDArray[np.int64] = confusion_matrix(labels, predictions, labels=np.arange(n_classes)).astype(np.int64)
    return counts


def _by_class(metric: object, targets: Targets, scores: Scores, defined: NDArray[np.bool_]) -> Floats:
    assert callable(metric)
    values = np.full(targets.shape[1], np.nan)
    for number in np.flatnonzero(defined):
        values[number] = metric(targets[:, number], scores[:, number])
    return values


def _check(labels: NDArray[np.generic], others: NDArray[np.generic]) -> None:
    if len(labels) == 0 or len(labels) != len(others):
        raise ValueError(f"cannot score {len(others)} predictions against {len(labels)} labels")
