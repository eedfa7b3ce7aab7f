"""Tests of one comparison over paired pre-training seeds, and the rule by which several are decided.

Letters in shapes: S seeds, B resamples, m comparisons.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from benchmark.statistics.bootstrap import Floats
from benchmark.statistics.paired import holm

SeedTest = Literal["t", "permutation"]

MINIMUM_SEEDS = 5
"""With fewer, no verdict but inconclusive."""
SIDE_LEVEL = 0.02
"""Level of the family of tests that comparisons hold, and of the family that they fail: together 4 % of verdicts under no
difference, which leaves room for noise that is not normal below the 5 % that are allowed."""
MOST_EXACT = 14
"""Up to so many seeds the permutation test enumerates every assignment of signs; beyond, the t test stands in."""
_TIE = 1e-12


def one_sided(differences: Floats, margin: float, test: SeedTest) -> tuple[Floats, Floats]:
    """p-values that the mean difference is above, and that it is below, ``margin``.

    Args:
        differences: ``(..., S)`` by seed.
        margin: in the same unit.
        test: Student's t, or the exact sign-flip permutation test, whose smallest p is 2 ** -S.

    Returns:
        Two arrays ``(...)``. Where all differences are the same, 0 on the side of the margin they are on and 1 on the
        other; 1 on both where they equal it.
    """
    beyond = differences - margin
    if test == "permutation" and beyond.shape[-1] <= MOST_EXACT:
        sums = beyond @ _signs(beyond.shape[-1]).T
        observed = beyond.sum(axis=-1)[..., None]
        return np.asarray((sums >= observed - _TIE).mean(axis=-1)), np.asarray((sums <= observed + _TIE).mean(axis=-1))
    size = beyond.shape[-1]
    means = np.asarray(beyond.mean(axis=-1))
    errors = np.asarray(beyond.std(axis=-1, ddof=1) / np.sqrt(size))
    flat = errors <= _TIE
    statistic = np.where(np.abs(means) <= _TIE, 0.0, np.copysign(np.inf, means))
    np.divide(means, errors, out=statistic, where=~flat)
    above, below = special.stdtr(size - 1, -statistic), special.stdtr(size - 1, statistic)
    level = flat & (statistic == 0)
    return np.where(level, 1.0, above), np.where(level, 1.0, below)


def sides(differences: Floats, margin: float, band: bool, test: SeedTest) -> tuple[Floats, Floats]:
    """p-values ``(...)`` that a comparison of ``(..., S)`` differences holds, and that it fails.

    A band holds where both one-sided tests say so (two one-sided tests) and fails where either bound is exceeded.
    """
    if not band:
        return one_sided(differences, margin, test)
    above_lower, below_lower = one_sided(differences, -margin, test)
    above_upper, below_upper = one_sided(differences, margin, test)
    fails: Floats = np.minimum(2 * np.minimum(above_upper, below_lower), 1.0)
    holds: Floats = np.maximum(above_lower, below_upper)
    return holds, fails


def resampled(replicates: Floats, margin: float, band: bool) -> tuple[float, float]:
    """p-values that a comparison holds, and that it fails, from its bootstrap replicates ``(B,)``: none is below 1 / (B + 1)."""

    def above(bound: float) -> float:
        return float((1 + np.sum(replicates <= bound)) / (1 + len(replicates)))

    def below(bound: float) -> float:
        return float((1 + np.sum(replicates >= bound)) / (1 + len(replicates)))

    if band:
        return max(above(-margin), below(margin)), min(1.0, 2 * min(above(margin), below(-margin)))
    return above(margin), below(margin)


def adjusted(p_values: Floats) -> Floats:
    """Holm's adjustment of ``(m, 2)`` p-values, each side a family of its own; nan, where nothing was tested, stays."""
    result = p_values.copy()
    tested = np.isfinite(p_values[:, 0])
    if tested.any():
        result[tested] = np.stack([holm(side) for side in p_values[tested].T], axis=1)
    return result


def decided(p_values: Floats) -> NDArray[np.int64]:
    """Adjusted p-values ``(..., 2)`` of holding and failing -> ``(...)``: 1 holds, -1 fails, 0 open."""
    return np.where(p_values[..., 0] <= SIDE_LEVEL, 1, np.where(p_values[..., 1] <= SIDE_LEVEL, -1, 0))


def _signs(seeds: int) -> Floats:
    """``(2 ** seeds, seeds)`` of every assignment of -1 and +1."""
    bits = np.arange(2**seeds)[:, None] >> np.arange(seeds) & 1
    return bits.astype(np.float64) * 2 - 1
