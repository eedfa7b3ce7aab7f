"""Two runs on the same test clips: paired tests clustered by source recording, and what they could have detected.

Letters in shapes: G groups (source recordings), m tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmark.statistics.bootstrap import Floats

_MOST_EXACT = 14
"""Up to so many groups every assignment of signs is enumerated (16,384 at 14)."""
_CHUNK_ENTRIES = 4_000_000


def sign_flip_p(differences: Floats, flips: int, generator: np.random.Generator) -> float:
    """Two-sided sign-flip permutation test that the summed difference of two runs is zero.

    Under no difference, exchanging the two runs' predictions on all clips of a source leaves the distribution as it is.
    It is a statement about these trained encoders, whose seeds are averaged: an interval that also resamples seeds
    belongs beside it.

    Args:
        differences: ``(G,)`` each group's contribution to the difference of accuracies.
        flips: random assignments of signs where there are too many groups to enumerate.
        generator: the stream that is consumed; not used by the exact test.

    Returns:
        The p-value: exact up to 14 groups, else (1 + extreme flips) / (1 + flips).
    """
    groups = len(differences)
    extreme = abs(differences.sum()) - 1e-12  # ties differ in the last bits, by the order of summation
    if groups <= _MOST_EXACT:
        signs = all_signs(groups)
        return float(np.mean(np.abs(signs @ differences) >= extreme))
    count, rows = 0, max(_CHUNK_ENTRIES // groups, 1)
    for start in range(0, flips, rows):
        signs = generator.integers(0, 2, size=(min(rows, flips - start), groups)) * 2 - 1
        count += int(np.sum(np.abs(signs @ differences) >= extreme))
    return (1 + count) / (1 + flips)


def holm(p_values: Floats) -> Floats:
    """Holm's step-down adjustment of families ``(..., m) -> (..., m)``: rejecting below alpha keeps a family's error at alpha."""
    count = p_values.shape[-1]
    order = np.argsort(p_values, axis=-1, kind="stable")
    stepped = np.minimum(np.take_along_axis(p_values, order, axis=-1) * (count - np.arange(count)), 1.0)
    adjusted = np.empty(p_values.shape)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(stepped, axis=-1), axis=-1)
    return adjusted


def clustered_standard_error(differences: Floats, mass: Floats) -> float:
    """Standard error of ``sum(differences) / sum(mass)`` over groups ``(G,)``: linearised ratio; nan at G < 2."""
    groups = len(differences)
    if groups < 2:
        return float("nan")
    total = mass.sum()
    residuals = (differences - differences.sum() / total * mass) / total
    return float(np.sqrt(groups / (groups - 1) * np.sum(residuals**2)))


def minimum_detectable_difference(standard_error: float, groups: int, level: float = 0.05, power: float = 0.8) -> float:
    """Smallest true difference that a two-sided test at ``level`` finds with probability ``power``; nan at G < 2.

    About 2.8 standard errors where there are many groups.
    """
    if groups < 2:
        return float("nan")
    return float((stats.t.ppf(1 - level / 2, groups - 1) + stats.t.ppf(power, groups - 1)) * standard_error)


def all_signs(groups: int) -> NDArray[np.int64]:
    """``(2 ** G, G)`` of every assignment of -1 and +1."""
    return (np.arange(2**groups)[:, None] >> np.arange(groups) & 1) * 2 - 1
