"""Metrics of predictions: pure functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


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


def top_k_accuracy(labels: Labels, scores: NDArray[np.floating], k: int) -> float:
    """Share of rows of ``scores (n, K)`` with their label among the ``k`` highest; of equals the lower index wins."""
    _check(labels, scores)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float(np.mean((best == labels[:, None]).any(axis=1)))


def log_loss(labels: Labels, probabilities: NDArray[np.floating]) -> float:
    """Mean negative log-probability of the labels under ``probabilities (n, K)``, clipped at the smallest double."""
    _check(labels, probabilities)
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


METRICS = {"accuracy": accuracy, "class_mean_accuracy": class_mean_accuracy}
"""The metrics of every score table, by id."""


def _check(labels: Labels, others: NDArray[np.generic]) -> None:
    if len(labels) == 0 or len(labels) != len(others):
        raise ValueError(f"cannot score {len(others)} predictions against {len(labels)} labels")
