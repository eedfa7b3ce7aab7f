r"""What each test clip contributes to a headline metric, so that clips can be resampled and paired by source.

A contribution is a credit and a mass, and the metric is the sum of credits over the sum of masses. For accuracy (credit 0
or 1, mass 1) and lwlrap (credit: the summed precisions at the clip's labels, mass: its labels) that is the definition, and
it holds on every resample.

Class-mean accuracy, mAP and AUC are no means over clips. Their credit is the pseudo-value of the infinitesimal jackknife
(Efron and Tibshirani 1993, chapter 22): the metric plus n times its derivative by the clip's weight, in closed form.
The sum is the metric exactly; on a resample it is the metric to first order, so intervals and tests are those of the
linearised statistic, at the cost of one sort a class whatever the number of resamples. It errs where a class has a
handful of positive sources. The derivative by a clip's weight :math:`w_i` of one class's average precision
:math:`\frac1P \sum_{k \in +} w_k\,T_k / N_k` (with :math:`T_k, N_k` the positive and all clips that score as high as k or higher,
P the positives) is

.. math:: \frac1P \Bigl[ y_i \bigl(\tfrac{T_i}{N_i} - AP\bigr)
          + \sum_{k \in +,\, s_k \le s_i} \bigl(\tfrac{y_i}{N_k} - \tfrac{T_k}{N_k^2}\bigr) \Bigr]

and that of an AUC is a clip's mean rank among the other kind, minus the AUC, over the clips of its own kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import ConfigError
from benchmark.evaluation.metrics import Floats, Labels, Scores, Targets, mixed, occurring


class Contributions(NamedTuple):
    """Of n clips to one metric: ``credit.sum() / mass.sum()`` is its value."""

    credit: Floats
    """``(n,)``"""
    mass: Floats
    """``(n,)``"""

    @property
    def value(self) -> float:
        """The metric; nan where it is undefined."""
        total = float(self.mass.sum())
        return float(self.credit.sum()) / total if total else float("nan")


def of_accuracy(labels: Labels, predictions: Labels) -> Contributions:
    """1 for a correct clip, 0 for another."""
    return Contributions((labels == predictions).astype(np.float64), np.ones(len(labels)))


def of_class_mean_accuracy(labels: Labels, predictions: Labels) -> Contributions:
    """Pseudo-values of the accuracy averaged over the classes that occur."""
    _, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    correct = (labels == predictions).astype(np.float64)
    of_class = np.bincount(index, weights=correct) / counts
    derivative = (correct - of_class[index]) / counts[index] / len(counts)
    return _pseudo_values(float(of_class.mean()), derivative)


def of_lwlrap(targets: Targets, scores: Scores) -> Contributions:
    """Precisions at a clip's labels, summed, and the number of its labels."""
    from scipy.stats import rankdata

    credit = np.zeros(len(targets))
    for clip in np.flatnonzero(targets.any(axis=1)):
        own = scores[clip, targets[clip] > 0]
        labels_before = rankdata(-own, method="max")
        credit[clip] = (labels_before / rankdata(-scores[clip], method="max")[targets[clip] > 0]).sum()
    return Contributions(credit, targets.sum(axis=1).astype(np.float64))


def of_mean_average_precision(targets: Targets, scores: Scores) -> Contributions:
    """Pseudo-values of the class mean of average precision."""
    return _class_mean(targets, scores, _average_precision, occurring(targets))


def of_macro_auc(targets: Targets, scores: Scores) -> Contributions:
    """Pseudo-values of the class mean of AUC."""
    return _class_mean(targets, scores, _auc, mixed(targets))


BY_PREDICTION = {"accuracy": of_accuracy, "class_mean_accuracy": of_class_mean_accuracy}
"""Headline metrics of a single class a clip, from labels ``(n,)`` and predictions ``(n,)``."""

BY_SCORE = {
    "map": of_mean_average_precision,
    "mauc": of_macro_auc,
    "auc": of_macro_auc,
    "lwlrap": of_lwlrap,
}
"""Headline metrics from targets ``(n, C)`` and scores ``(n, C)``; a binary task has C = 1, its positive class."""


def contributions(metric: str, labels: Labels, predictions: Labels, scores: Scores) -> Contributions:
    """Of each clip to ``metric``.

    Args:
        metric: the task's headline metric.
        labels: ``(n,)`` classes, of a binary task 0 and 1, or ``(n, C)`` zeros and ones.
        predictions: ``(n,)`` classes.
        scores: ``(n, C)``; ``(n, 1)`` of a binary task's positive class; not read by a metric of predictions.

    Raises:
        ConfigError: no task of this kind can have that headline metric.
    """
    multi = labels.ndim == 2
    if metric in BY_PREDICTION and not multi:
        return BY_PREDICTION[metric](labels, predictions)
    targets = labels if multi else labels[:, None]
    if metric not in BY_SCORE or scores.shape != targets.shape:
        known = BY_SCORE if multi else BY_PREDICTION
        raise ConfigError(
            f"{metric!r} cannot be the headline metric of such a task; set `metric` to one of {', '.join(known)}."
        )
    return BY_SCORE[metric](targets, scores)


def _class_mean(
    targets: Targets,
    scores: Scores,
    one_class: Callable[[NDArray[np.bool_], Floats], tuple[float, Floats]],
    defined: NDArray[np.bool_],
) -> Contributions:
    """Pseudo-values of the mean of ``one_class`` over the ``defined`` classes; without mass where there is none."""
    numbers = np.flatnonzero(defined)
    if not numbers.size:
        return Contributions(np.zeros(len(targets)), np.zeros(len(targets)))
    value, derivative = 0.0, np.zeros(len(targets))
    for number in numbers:
        of_class, by_clip = one_class(targets[:, number] > 0, scores[:, number].astype(np.float64))
        value += of_class / len(numbers)
        derivative += by_clip / len(numbers)
    return _pseudo_values(value, derivative)


def _pseudo_values(value: float, derivative: Floats) -> Contributions:
    return Contributions(value + len(derivative) * derivative, np.ones(len(derivative)))


def _average_precision(positive: NDArray[np.bool_], scores: Floats) -> tuple[float, Floats]:
    """Average precision of one class, and its derivative ``(n,)`` by the weight of each clip."""
    order = np.argsort(-scores, kind="stable")
    thresholds, first = np.unique(-scores[order], return_index=True)
    last = np.append(first[1:], len(scores)) - 1
    of_threshold = np.cumsum(positive[order])[last].astype(np.float64)  # positives down to each threshold
    clips = last + 1.0
    precision = of_threshold / clips
    here = np.diff(of_threshold, prepend=0.0)
    total = of_threshold[-1]
    value = float((here * precision).sum() / total)
    helped = np.cumsum((here / clips)[::-1])[::-1]
    hurt = np.cumsum((here * of_threshold / clips**2)[::-1])[::-1]
    place = np.searchsorted(thresholds, -scores)
    derivative: Floats = (positive * (precision[place] - value + helped[place]) - hurt[place]) / total
    return value, derivative


def _auc(positive: NDArray[np.bool_], scores: Floats) -> tuple[float, Floats]:
    """AUC of one class, and its derivative ``(n,)`` by the weight of each clip (the placements of DeLong et al. 1988)."""
    from scipy.stats import rankdata

    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    everywhere, placement = rankdata(scores), np.empty(len(scores))
    placement[positive] = (everywhere[positive] - rankdata(scores[positive])) / n_negative
    placement[~positive] = 1.0 - (everywhere[~positive] - rankdata(scores[~positive])) / n_positive
    value = float(placement[positive].mean())
    return value, (placement - value) / np.where(positive, n_positive, n_negative)
