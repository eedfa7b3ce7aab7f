"""What our scores say of a claim: supported, contradicted, inconclusive or not run.

Every comparison of a claim is tested twice over paired pre-training seeds: that it holds beyond its margin, and that it
fails beyond it. Holm's procedure corrects each of the two families over the claim's comparisons; what is significant is
decided, and the claim follows by the logic of its statement: a claim is decided wrongly only where a comparison is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.statistics.bootstrap import Floats
from benchmark.statistics.claims.bindings import Binding
from benchmark.statistics.claims.formulas import Check, Formula, Scope, checks, compiled, reasons, resolved
from benchmark.statistics.claims.grammar import Claim
from benchmark.statistics.claims.scores import ScoreTable
from benchmark.statistics.claims.significance import adjusted, decided, resampled, sides
from benchmark.statistics.decisions import MINIMUM_SEEDS, SeedTest

Outcome = Literal["supported", "contradicted", "inconclusive", "not run"]


@dataclass(frozen=True)
class Tested:
    """One comparison on our scores."""

    sentence: str
    estimate: float
    """Mean over seeds, in the statement's unit."""
    seeds: int
    p_holds: float
    """Holm-adjusted; nan below :data:`MINIMUM_SEEDS`."""
    p_fails: float
    outcome: Outcome


@dataclass(frozen=True)
class Verdict:
    """What a score table says of a claim."""

    outcome: Outcome
    reason: str
    """Why it is not run or inconclusive; empty otherwise."""
    comparisons: tuple[Tested, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """Where verdicts come from: the same scores by seed and, where predictions are kept, by resample of sources."""

    seeds: ScoreTable
    published: ScoreTable
    sources: ScoreTable | None = None
    """Scores of one split by bootstrap resample of its source recordings: a comparison must hold there too."""
    test: SeedTest = "t"


def judge(claim: Claim, evidence: Evidence, binding: Binding | None = None) -> Verdict:
    """The verdict on a claim; with a ``binding``, on what stands in for it."""
    formula = _formula(claim, evidence.seeds, evidence, binding)
    comparisons = list(checks(formula))
    p_values = np.array([_p_values(test, evidence.test) for test in comparisons]).reshape(-1, 2)
    if evidence.sources is not None:
        p_values = np.maximum(
            p_values, _source_p_values(_formula(claim, evidence.sources, evidence, binding), comparisons)
        )
    p_values = adjusted(p_values)
    states = decided(p_values)
    table = [_tested(*row) for row in zip(comparisons, p_values, states, strict=True)]
    return _verdict(formula, int(resolved(formula, dict(zip(comparisons, states, strict=True)))), table)


def _formula(claim: Claim, table: ScoreTable, evidence: Evidence, binding: Binding | None) -> Formula:
    return compiled(claim.statement, Scope(table, claim.paper, {}, published=evidence.published, binding=binding))


def _p_values(comparison: Check, test: SeedTest) -> tuple[float, float]:
    differences = comparison.values[np.isfinite(comparison.values)]
    if len(differences) < MINIMUM_SEEDS:
        return np.nan, np.nan
    holds, fails = sides(differences, comparison.margin, comparison.band, test)
    return float(holds), float(fails)


def _source_p_values(formula: Formula, comparisons: Sequence[Check]) -> Floats:
    """``(m, 2)`` p-values of the same comparisons over resampled sources; 0 where no predictions tell."""
    found = {test.sentence: test for test in checks(formula)}
    pairs = [found.get(comparison.sentence) for comparison in comparisons]
    p_values = [resampled(test.values, test.margin, test.band) if test else (0.0, 0.0) for test in pairs]
    return np.array(p_values).reshape(-1, 2)


def _tested(comparison: Check, p_values: Floats, state: int) -> Tested:
    differences = comparison.values[np.isfinite(comparison.values)]
    outcomes: dict[int, Outcome] = {1: "supported", -1: "contradicted", 0: "inconclusive"}
    estimate = float(differences.mean()) if len(differences) else float("nan")
    holds, fails = map(float, p_values)
    return Tested(comparison.sentence, estimate, len(differences), holds, fails, outcomes[int(state)])


def _verdict(formula: Formula, state: int, comparisons: Sequence[Tested]) -> Verdict:
    table = tuple(comparisons)
    if state:
        return Verdict("supported" if state > 0 else "contradicted", "", table)
    if lacking := reasons(formula):
        return Verdict("not run", "; ".join(lacking), table)
    fewest = min(comparison.seeds for comparison in table)
    if fewest < MINIMUM_SEEDS:
        reason = f"{fewest} paired seeds; a verdict needs {MINIMUM_SEEDS}"
    else:
        open_ = sum(comparison.outcome == "inconclusive" for comparison in table)
        reason = f"{open_} of {len(table)} comparisons not significant at {fewest} seeds"
    return Verdict("inconclusive", reason, table)
