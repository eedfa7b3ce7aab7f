"""What every linear head shares: labelled rows of a feature matrix, standardisation, and the trained classifiers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class TrainingSet:
    """Rows of a shared feature matrix and their class indices: all that a head may learn from."""

    rows: Rows
    """``(n,)``"""
    labels: NDArray[np.int64]
    """``(n,)``"""

    def __post_init__(self) -> None:
        if len(self.rows) == 0 or len(self.rows) != len(self.labels):
            raise ValueError(f"a training set of {len(self.rows)} rows and {len(self.labels)} labels")


@dataclass(frozen=True)
class LinearClassifiers:
    """A batch of softmax classifiers on raw features."""

    weight: Tensor
    """``(B, K, D)`` float64."""
    bias: Tensor
    """``(B, K)`` float64; minus infinity for a class that the training set lacked."""

    def probabilities(self, index: int, features: Tensor) -> NDArray[np.float64]:
        """Class probabilities ``(n, K)`` of classifier ``index`` on ``features (n, D)``."""
        logits = features.double() @ self.weight[index].T + self.bias[index]
        probabilities: NDArray[np.float64] = logits.softmax(dim=1).cpu().numpy()
        return probabilities


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
