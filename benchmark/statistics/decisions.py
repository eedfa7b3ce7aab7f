"""Tests paired over pre-training seeds, as one-sided p-values from which verdicts are made.

Letters in shapes: S seeds; leading dimensions are comparisons. Several comparisons of one statement are corrected by
:func:`benchmark.statistics.paired.holm`, those that it holds and those that it fails each as a family of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from benchmark.statistics.bootstrap import Floats
from benchmark.statistics.paired import all_signs

SeedTest = Literal["t", "exact"]

MINIMUM_SEEDS = 5
"""With fewer, no verdict but inconclusive."""
SIDE_LEVEL = 0.02
"""Level of each of the two families. Under no difference 4 % of verdicts are then decided, which leaves room below the
5 % that are allowed for noise that is not normal."""
MOST_EXACT = 14
"""Up to so many seeds every assignment of signs is enumerated; beyond, Student's t stands in for the exact test."""
_TIE = 1e-12


@dataclass(frozen=True)
class Decision:
    """p-values ``(...)`` of left minus right against a margin."""

    p_greater: Floats
    """That it is above the margin; small where the data say so."""
    p_less: Floats
    """That it is below."""

    @property
    def p_two_sided(self) -> Floats:
        """That it is not the margin, ``(...)``."""
        doubled: Floats = np.minimum(2 * np.minimum(self.p_greater, self.p_less), 1.0)
        return doubled


@dataclass(frozen=True)
class Equivalence:
    """p-values ``(...)`` of left minus right against a band around zero."""

    p_inside: Floats
    """That it lies inside: the larger of two one-sided tests (Schuirmann 1987)."""
    p_outside: Floats
    """That it lies outside, on either side: twice the smaller of the two others."""


def paired_decision(differences: Floats, margin: float = 0.0, *, test: SeedTest = "t") -> Decision:
    """Whether the mean difference over paired seeds is above or below ``margin``.

    Args:
        differences: ``(..., S)`` left minus right by seed, at least two; right is negative where it is better.
        margin: in the same unit, negative where left may be worse by so much.
        test: ``t``, Student's, for differences that are about normal; ``exact``, by flipping signs, for differences that are
            symmetric, whose smallest p is 2 ** -S: above 0.02 at five seeds, where it can decide nothing.

    Returns:
        p-values ``(...)``. Where all differences are one number the t test gives 0 on its side of the margin and 1
        on the other, and 1 on both where it is the margin.
    """
    beyond = differences - margin
    if test == "exact" and beyond.shape[-1] <= MOST_EXACT:
        return _sign_flips(beyond)
    return _student(beyond)


def equivalence(differences: Floats, band: float, *, test: SeedTest = "t") -> Equivalence:
    """Whether the mean difference ``(..., S)`` over paired seeds lies within ``band`` of zero, or beyond it."""
    lower, upper = (paired_decision(differences, margin, test=test) for margin in (-band, band))
    outside: Floats = np.minimum(2 * np.minimum(upper.p_greater, lower.p_less), 1.0)
    inside: Floats = np.maximum(lower.p_greater, upper.p_less)
    return Equivalence(inside, outside)


def _sign_flips(beyond: Floats) -> Decision:
    sums = beyond @ all_signs(beyond.shape[-1]).T
    observed = beyond.sum(axis=-1)[..., None]
    tie = _TIE * np.abs(beyond).sum(axis=-1)[..., None]  # ties differ in the last bits, by the order of summation
    return Decision(np.mean(sums >= observed - tie, axis=-1), np.mean(sums <= observed + tie, axis=-1))


def _student(beyond: Floats) -> Decision:
    seeds = beyond.shape[-1]
    means = np.asarray(beyond.mean(axis=-1))
    errors = np.asarray(beyond.std(axis=-1, ddof=1)) / np.sqrt(seeds)
    constant = errors <= _TIE
    statistic = np.where(means > _TIE, np.inf, np.where(means < -_TIE, -np.inf, 0.0))
    np.divide(means, errors, out=statistic, where=~constant)
    greater, less = (special.stdtr(seeds - 1, side) for side in (-statistic, statistic))
    level = constant & (statistic == 0)
    return Decision(np.where(level, 1.0, greater), np.where(level, 1.0, less))
