"""Which metrics a task's answers are scored by: the headline first, then those that apply to its kind."""

from __future__ import annotations

import numpy as np

from benchmark.evaluation.contributions import contributions
from benchmark.evaluation.metrics import (
    Floats,
    Labels,
    Scores,
    Targets,
    accuracy,
    binary_log_loss,
    class_mean,
    class_mean_accuracy,
    confusion,
    dprime,
    log_loss,
    lwlrap,
    mean_average_precision,
    precision_recall_f1,
    roc_auc,
)

TOP_K = 5
ENOUGH_CLASSES = 20
"""From so many classes on top-5 accuracy says something."""


def prediction_metrics(labels: Labels, predictions: Labels) -> dict[str, float]:
    """What a prediction a clip (or slice) is scored by."""
    return {"accuracy": accuracy(labels, predictions), "class_mean_accuracy": class_mean_accuracy(labels, predictions)}


def clip_metrics(headline: str, labels: Labels, predictions: Labels, scores: Scores, ranks: Labels) -> dict[str, float]:
    """Every metric of a task's test clips by id, the headline first; what is undefined on these clips is left out.

    Args:
        headline: the task's metric.
        labels: ``(n,)``, or of a multi-label task zeros and ones ``(n, C)``.
        predictions: ``(n,)``; of a multi-label task the class of the highest score, which nothing is scored by.
        scores: ``(n, C)``; ``(n, 1)`` of a binary task's positive class; ``(n, 0)`` of other tasks of a single class.
        ranks: ``(n,)`` how many classes stand before the label, where there are ENOUGH_CLASSES; else empty.

    Raises:
        ConfigError: the headline is none for such a task.
    """
    values = {headline: contributions(headline, labels, predictions, scores).value}
    if labels.ndim == 2:
        values |= {"map": mean_average_precision(labels, scores), "lwlrap": lwlrap(labels, scores)} | _auc(
            labels, scores
        )
    else:
        values |= prediction_metrics(labels, predictions)
        if scores.shape[1]:
            values |= _auc(labels[:, None], scores)
        if ranks.size:
            values["top5"] = float(np.mean(ranks < TOP_K))
    return {metric: value for metric, value in values.items() if not np.isnan(value)}


def _auc(targets: Targets, scores: Scores) -> dict[str, float]:
    """AUC, and d' of it; of several classes their mean, under both of its published names."""
    auc = class_mean(roc_auc(targets, scores))
    return {"auc": auc, "dprime": dprime(auc)} | ({"mauc": auc} if targets.shape[1] > 1 else {})


def class_rows(labels: Labels, predictions: Labels, names: tuple[str, ...]) -> list[tuple[str, str, float, int]]:
    """Precision, recall and F1 of each class, and the rate of each confusion: variant, metric, value and clips of the class.

    Variants are written as in the published claims: ``class=siren``, ``true=siren;predicted=drilling``. A class without a
    test clip has no rate of confusion.
    """
    rows: list[tuple[str, str, float, int]] = []
    counts = confusion(labels, predictions, len(names))
    sizes = counts.sum(axis=1)
    for number, found in enumerate(precision_recall_f1(labels, predictions, len(names))):
        variant, size = f"class={names[number]}", int(sizes[number])
        rows += [
            (variant, metric, float(v), size) for metric, v in zip(("precision", "recall", "f1"), found, strict=True)
        ]
    for true, predicted in zip(*np.nonzero(~np.eye(len(names), dtype=bool)), strict=True):
        if sizes[true]:
            variant = f"true={names[true]};predicted={names[predicted]}"
            rows.append((variant, "confusion_rate", float(counts[true, predicted] / sizes[true]), int(sizes[true])))
    return rows


def merit(headline: str, labels: Labels, probabilities: Floats) -> tuple[float, float]:
    """What candidates are compared by on validation clips: the headline metric, then the negative log-loss.

    Args:
        headline: the task's metric; where it is undefined on these clips the log-loss decides alone.
        labels: ``(n,)`` or ``(n, C)``.
        probabilities: ``(n, C)``, of a binary task both classes.
    """
    loss = binary_log_loss(labels, probabilities) if labels.ndim == 2 else log_loss(labels, probabilities)
    scores = probabilities if labels.ndim == 2 else probabilities[:, 1:2]
    value = contributions(headline, labels, probabilities.argmax(axis=1), scores).value
    return (-1.0 if np.isnan(value) else value), -loss
