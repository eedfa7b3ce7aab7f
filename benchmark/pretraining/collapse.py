"""Recognises a representation that no longer tells its inputs apart."""

from __future__ import annotations

import math
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.pretraining.checkpoint import History

PATIENCE = 5
"""Checks in a row before training stops."""

SPREAD_FLOOR = 0.01
"""Of embeddings spread evenly over the sphere the spread is 1; of a constant it is 0, in bf16 below 0.004."""

RANK_FLOOR = 1.02
"""Of embeddings along one line the rank is 1."""


@torch.no_grad()
def spread_and_rank(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Two scalars of a batch of embeddings ``(B, D)``, after L2 normalisation.

    Returns:
        The mean over dimensions of the standard deviation, times sqrt(D) (SimSiam, Chen & He 2021, section 4.1); and
        the participation ratio (sum l)^2 / sum l^2 of the eigenvalues l of the covariance, an effective rank that needs
        no decomposition.
    """
    unit = functional.normalize(embeddings.detach().float(), dim=1)
    centred = unit - unit.mean(dim=0)
    gram = centred @ centred.T  # has the covariance's non-zero eigenvalues, up to the factor B
    rank = gram.diagonal().sum() ** 2 / gram.square().sum().clamp_min(torch.finfo(torch.float32).tiny)
    return centred.square().mean(dim=0).sqrt().mean() * math.sqrt(unit.shape[1]), rank


def collapse(history: History) -> str | None:
    """What has collapsed over the last checks of ``history``, in words; None where nothing has."""
    checks = list(islice((entry for entry in reversed(history) if "embedding_spread" in entry), PATIENCE))
    if len(checks) < PATIENCE:
        return None
    if all(check["embedding_spread"] < SPREAD_FLOOR for check in checks):
        return f"all embeddings are the same (spread {checks[0]['embedding_spread']:.2g})"
    if all(check["embedding_rank"] < RANK_FLOOR for check in checks):
        return f"all embeddings lie on a line (effective rank {checks[0]['embedding_rank']:.3g})"
    return None
