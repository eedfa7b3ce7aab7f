"""Losses as pure functions."""

from __future__ import annotations

from torch import Tensor


def redundancy(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """Barlow Twins (Zbontar et al. 2021, equation 1), divided by the number of dimensions.

    Args:
        first: ``(B, D)`` of one view of each clip, B at least 2.
        second: ``(B, D)`` of the other.
        weight: lambda, of what different dimensions share.
    """
    left, right = (_standardised(view) for view in (first, second))
    correlation = left.T @ right / len(left)
    diagonal = correlation.diagonal()
    shared = correlation.square().sum() - diagonal.square().sum()
    return ((1 - diagonal).square().sum() + weight * shared) / len(diagonal)


def _standardised(values: Tensor) -> Tensor:
    centred = values - values.mean(dim=0)
    return centred / (centred.square().mean(dim=0) + 1e-4).sqrt()
