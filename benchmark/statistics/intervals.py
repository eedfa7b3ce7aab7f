"""Intervals that are not plain percentiles: bias-corrected and accelerated (BCa), and Student's t.

Letters in shapes: B resamples, n units.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from benchmark.statistics.bootstrap import LEVEL, Floats


def leave_one_out(values: Floats) -> Floats:
    """Every sample that lacks one unit: ``(n, ...) -> (n, n - 1, ...)``, as the jackknife asks for."""
    units = len(values)
    kept = np.arange(units - 1)[None, :] + (np.arange(units - 1)[None, :] >= np.arange(units)[:, None])
    left: Floats = values[kept]
    return left


def bca_interval(
    replicates: Floats, estimate: float, jackknife: Floats | Sequence[Floats], level: float = LEVEL
) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval (Efron 1987).

    Args:
        replicates: ``(B,)`` bootstrap replicates of the estimate.
        estimate: its value on the sample itself.
        jackknife: ``(n,)`` its values on the samples that lack one unit; one such array for each sample (stratum) where
            several are resampled independently.
        level: nominal coverage.

    Returns:
        Lower and upper bound; nan where the estimate lies outside all replicates, which says that they are not
        replicates of it.
    """
    if np.ptp(replicates) == 0:
        return float(replicates[0]), float(replicates[0])
    below = (np.mean(replicates < estimate) + np.mean(replicates <= estimate)) / 2
    if not 0 < below < 1:
        return float("nan"), float("nan")
    bias = special.ndtri(below)
    reach = bias + special.ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    acceleration = _acceleration([jackknife] if isinstance(jackknife, np.ndarray) else jackknife)
    lower, upper = np.quantile(replicates, special.ndtr(bias + reach / (1 - acceleration * reach)))
    return float(lower), float(upper)


def t_interval(values: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Bounds ``(...)`` of the mean of independent units ``(..., n)`` by Student's t; infinite at n = 1."""
    units = values.shape[-1]
    mean = values.mean(axis=-1)
    if units < 2:
        return np.full_like(mean, -np.inf), np.full_like(mean, np.inf)
    reach = special.stdtrit(units - 1, (1 + level) / 2) * values.std(axis=-1, ddof=1) / np.sqrt(units)
    return mean - reach, mean + reach


def _acceleration(samples: Sequence[Floats]) -> float:
    """Efron and Tibshirani (1993), eq. 14.15; over several samples, their influences count by their sizes."""
    influences = [(len(values) - 1) / len(values) * (values.mean() - values) for values in samples]
    spread = sum(float(np.sum(values**2)) for values in influences)
    skew = sum(float(np.sum(values**3)) for values in influences)
    return skew / (6 * spread**1.5) if spread > 0 else 0.0
