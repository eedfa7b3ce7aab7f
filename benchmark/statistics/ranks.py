"""Ranks of methods over bootstrap replicates: is the order of a table more than chance?

Letters in shapes: B resamples, M methods. Rank 1 is the highest score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmark.statistics.bootstrap import LEVEL, Floats


def rank_replicates(replicates: Floats) -> Floats:
    """Ranks of the methods in each resample, tied ones sharing the mean of theirs: ``(B, M) -> (B, M)``.

    Args:
        replicates: scores of all methods, resampled together where they share seeds, tasks or clips.
    """
    ranks: Floats = stats.rankdata(-replicates, axis=1)
    return ranks


def rank_intervals(replicates: Floats, level: float = LEVEL) -> NDArray[np.int64]:
    """Lowest and highest rank of each method that the bootstrap leaves open: ``(B, M) -> (M, 2)``.

    Whole ranks, rounded outwards. Of methods that are equally good the bootstrap says too little where it draws one of
    them ahead: read a wide interval as undecided, never a narrow one as proof; :mod:`decisions` proves.
    """
    bounds = np.quantile(rank_replicates(replicates), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.stack([np.floor(bounds[0]), np.ceil(bounds[1])], axis=1).astype(np.int64)


def rank_probabilities(replicates: Floats) -> Floats:
    """Share of resamples in which a method has a rank, tied ones sharing theirs evenly: ``(B, M) -> (M methods, M ranks)``."""
    first, last = (stats.rankdata(-replicates, axis=1, method=method)[..., None] for method in ("min", "max"))
    ranks = np.arange(1, replicates.shape[1] + 1)
    shares: Floats = (((first <= ranks) & (ranks <= last)) / (last - first + 1)).mean(axis=0)
    return shares
