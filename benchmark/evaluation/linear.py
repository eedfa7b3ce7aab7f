"""What every linear head shares: labelled rows of a feature matrix, standardisation, and the trained classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.int64]
Targets = NDArray[np.integer]
"""Class indices ``(n,)``; or zeros and ones ``(n, K)`` where a row has any number of classes."""
Link = Literal["softmax", "sigmoid"]
"""How logits become probabilities: of one class among all, or of each class for itself."""


@dataclass(frozen=True)
class TrainingSet:
    """Rows of a shared feature matrix and their labels: all that a head may learn from."""

    rows: Rows
    """``(n,)``"""
    labels: Targets
    """``(n,)`` or ``(n, K)``"""

    def __post_init__(self) -> None:
        if len(self.rows) == 0 or len(self.rows) != len(self.labels):
            raise ValueError(f"a training set of {len(self.rows)} rows and {len(self.labels)} labels")


@dataclass(frozen=True)
class LinearClassifiers:
    """A batch of classifiers on raw features."""

    weight: Tensor
    """``(B, K, D)`` float64."""
    bias: Tensor
    """``(B, K)`` float64; minus infinity for a class that the training set lacked, plus for one that all its rows have."""
    link: Link = "softmax"

    def probabilities(self, index: int, features: Tensor) -> NDArray[np.float64]:
        """Class probabilities ``(n, K)`` of classifier ``index`` on ``features (n, D)``."""
        logits = features.double() @ self.weight[index].T + self.bias[index]
        of_class = logits.softmax(dim=1) if self.link == "softmax" else logits.sigmoid()
        probabilities: NDArray[np.float64] = of_class.cpu().numpy()
        return probabilities


def link_of(sets: Sequence[TrainingSet]) -> Link:
    """What fits the labels of the sets, which are all of one kind."""
    return "sigmoid" if sets[0].labels.ndim == 2 else "softmax"


def statistics(features: Tensor, rows: Rows, standardise: bool) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation ``(D,)``, float64, of the training rows alone; a constant feature gets deviation 1.

    Without ``standardise`` they are 0 and 1.
    """
    if not standardise:
        width = features.shape[1]
        return features.new_zeros(width, dtype=torch.float64), features.new_ones(width, dtype=torch.float64)
    chosen = features[torch.from_numpy(rows).to(features.device)].double()
    mean = chosen.mean(0)
    deviation = chosen.std(0, correction=0)
    rounding = 10 * torch.finfo(torch.float64).eps * mean.abs()
    return mean, torch.where(deviation > rounding, deviation, torch.ones_like(deviation))
