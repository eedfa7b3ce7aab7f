"""Losses as pure functions of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross entropy (SimCLR, Chen et al. 2020, equation 1; fonseca2021 §2, equation 2).

    Each of the 2N views is an anchor; the other view of its clip competes with the 2N - 2 views of other clips, so the
    denominator has 2N - 1 terms. The mean over anchors is 0 for N = 1 and ln(2N - 1) where all embeddings are equal.

    Args:
        first, second: ``(N, D)`` embeddings of two views of N clips, normalised here.
        temperature: divides the cosine similarities.

    Returns:
        Scalar, computed in float32 at least.
    """
    views = torch.cat([first, second])
    views = functional.normalize(views if views.dtype == torch.float64 else views.float(), dim=1)
    count = len(views)
    with torch.autocast(views.device.type, enabled=False):
        similarity = (views @ views.T / temperature).masked_fill(_diagonal(views), float("-inf"))
        partner = torch.arange(count, device=views.device).roll(count // 2)
        return functional.cross_entropy(similarity, partner)


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Mean of max(0, |a - p|^2 - |a - n|^2 + margin) over the rows of three ``(N, D)`` (Jansen et al. 2018, equation 1)."""
    closer = (anchor - positive).square().sum(dim=1)
    further = (anchor - negative).square().sum(dim=1)
    return (closer - further + margin).clamp_min(0.0).mean()


def _diagonal(views: Tensor) -> Tensor:
    return torch.eye(len(views), dtype=torch.bool, device=views.device)
