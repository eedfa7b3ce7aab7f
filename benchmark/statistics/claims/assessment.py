"""Every claim with the paper's own numbers, our verdict, and the proxy's where something stands in for what it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.statistics.claims.bindings import Binding, binding_for
from benchmark.statistics.claims.grammar import Claim
from benchmark.statistics.claims.published import PublishedVerdict, judge_published
from benchmark.statistics.claims.scores import ScoreTable
from benchmark.statistics.claims.verdicts import Evidence, Verdict, judge


@dataclass(frozen=True)
class Assessment:
    """One claim: what its paper's numbers say, what ours say, and what a proxy says."""

    claim: Claim
    published: PublishedVerdict
    verdict: Verdict
    proxy: Verdict | None = None
    departures: tuple[str, ...] = ()
    """In what the proxy differs from what the claim names."""


def assess(
    claims: Sequence[Claim],
    published: ScoreTable,
    evidence: Evidence | str,
    departures: Sequence[str] = (),
    bindings: Sequence[Binding] = (),
) -> list[Assessment]:
    """All claims, in order.

    Args:
        claims: what is claimed.
        published: the papers' own numbers.
        evidence: our scores, or why there are none.
        departures: in what these scores differ from what every claim names (synthetic data, fewer steps). If in
            anything, they make proxies only.
        bindings: ids that stand in for a claim's.
    """
    return [_assessed(claim, judge_published(claim, published), evidence, departures, bindings) for claim in claims]


def totals(assessments: Sequence[Assessment]) -> dict[str, Counter[str]]:
    """Verdicts by paper, in the papers' order; proxies are not among them."""
    result: dict[str, Counter[str]] = {}
    for assessment in assessments:
        result.setdefault(assessment.claim.paper, Counter())[assessment.verdict.outcome] += 1
    return result


def _assessed(
    claim: Claim,
    printed: PublishedVerdict,
    evidence: Evidence | str,
    departures: Sequence[str],
    bindings: Sequence[Binding],
) -> Assessment:
    if isinstance(evidence, str):
        return Assessment(claim, printed, Verdict("not run", evidence))
    binding = binding_for(claim, bindings)
    only_proxies = Verdict("not run", f"only proxies: {'; '.join(departures)}")
    verdict = only_proxies if departures else judge(claim, evidence)
    if binding is None and not departures:
        return Assessment(claim, printed, verdict)
    changed = (*departures, *(binding.departures(claim) if binding else []))
    return Assessment(claim, printed, verdict, judge(claim, evidence, binding), changed)
