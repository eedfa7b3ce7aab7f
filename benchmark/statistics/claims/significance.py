"""The tests of a claim's comparisons as pairs of p-values, and the rule by which several are decided.

Letters in shapes: S seeds, B resamples, m comparisons.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.statistics.bootstrap import Floats
from benchmark.statistics.decisions import SIDE_LEVEL, SeedTest, equivalence, paired_decision
from benchmark.statistics.paired import holm


def sides(differences: Floats, margin: float, band: bool, test: SeedTest) -> tuple[Floats, Floats]:
    """p-values ``(...)`` that a comparison of ``(..., S)`` differences by seed holds, and that it fails."""
    if band:
        within = equivalence(differences, margin, test=test)
        return within.p_inside, within.p_outside
    decision = paired_decision(differences, margin, test=test)
    return decision.p_greater, decision.p_less


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
        result[tested] = holm(p_values[tested].T).T
    return result


def decided(p_values: Floats) -> NDArray[np.int64]:
    """Adjusted p-values ``(..., 2)`` of holding and failing -> ``(...)``: 1 holds, -1 fails, 0 open."""
    return np.where(p_values[..., 0] <= SIDE_LEVEL, 1, np.where(p_values[..., 1] <= SIDE_LEVEL, -1, 0))
