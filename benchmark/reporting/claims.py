"""The page of claims: Markdown to read in a repository, HTML to browse, JSON to compute with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.artifacts import write_json, write_text
from benchmark.reporting.formats import Table, as_markdown, environment
from benchmark.statistics.claims.assessment import Assessment, totals
from benchmark.statistics.claims.formulas import checks
from benchmark.statistics.claims.published import holds
from benchmark.statistics.claims.verdicts import Tested, Verdict

OUTCOMES = ("supported", "contradicted", "inconclusive", "not run")
SCALES = {
    "any": "one GPU, hours, public data",
    "medium": "days, or AudioSet labels, or part of a large corpus",
    "full": "the paper's own scale or data",
}
_NEEDS = ("methods", "encoders", "tasks", "protocols", "train_sizes", "variants", "metrics")
_SHOWN = 6
"""Comparisons of a claim in Markdown; HTML and JSON have all."""


def write_claims(folder: Path, profile: str, assessments: Sequence[Assessment]) -> None:
    """Write ``claims.md``, ``claims.html`` and ``claims.json`` to ``folder``."""
    write_text(folder / "claims.md", markdown(profile, assessments))
    write_text(folder / "claims.html", html(profile, assessments))
    write_json(folder / "claims.json", [record(assessment) for assessment in assessments])


def markdown(profile: str, assessments: Sequence[Assessment]) -> str:
    """Totals by paper, then one table a paper."""
    lines = [f"# Claims of the papers, profile `{profile}`", "", as_markdown(totals_table(assessments))]
    for paper in totals(assessments):
        own = [assessment for assessment in assessments if assessment.claim.paper == paper]
        lines += [f"## {paper}", "", as_markdown(_claims_table(paper, own))]
    return "\n".join(lines).rstrip() + "\n"


def html(profile: str, assessments: Sequence[Assessment]) -> str:
    """One page that opens from disk; each claim's comparisons unfold."""
    template = environment().get_template("claims.html.j2")
    return template.render(profile=profile, totals=totals_table(assessments), claims=records_by_paper(assessments))


def totals_table(assessments: Sequence[Assessment]) -> Table:
    """Our verdicts by paper, beside what the papers' own numbers say."""
    rows = []
    for paper, counts in totals(assessments).items():
        printed = [a.published.verdict for a in assessments if a.claim.paper == paper]
        rows.append(
            [paper, *(str(counts[outcome]) for outcome in OUTCOMES), *_printed_counts(printed), str(len(printed))]
        )
    columns = zip(*(row[1:] for row in rows), strict=True)
    rows.append(["all", *(str(sum(map(int, column))) for column in columns)])
    header = ["Paper", *OUTCOMES, "true of its own numbers", "false", "not evaluable", "claims"]
    return Table(
        "claims", "Verdicts on our scores, and on the printed numbers", header, rows, ["Proxies are not counted."]
    )


def records_by_paper(assessments: Sequence[Assessment]) -> dict[str, list[dict[str, Any]]]:
    """The claims of each paper, in the papers' order, as JSON."""
    return {
        paper: [record(assessment) for assessment in assessments if assessment.claim.paper == paper]
        for paper in totals(assessments)
    }


def record(assessment: Assessment) -> dict[str, Any]:
    """A claim as JSON: what the page shows of it."""
    claim, printed = assessment.claim, assessment.published
    return {
        "id": claim.id,
        "paper": claim.paper,
        "section": claim.section,
        "claim": claim.claim,
        "kind": claim.kind,
        "origin": claim.origin,
        "published": {
            "numbers": claim.evidence.numbers,
            "arithmetic": claim.evidence.arithmetic,
            "supports": claim.evidence.supports,
            "verdict": printed.verdict,
            "reason": printed.reason,
            "comparisons": [
                {"claimed": test.sentence, "value": _number(float(test.values[0])), "holds": holds(test)}
                for test in checks(printed.formula)
            ],
        },
        "ours": _verdict(assessment.verdict),
        "proxy": _verdict(assessment.proxy) | {"departures": list(assessment.departures)} if assessment.proxy else None,
        "scale": claim.scale,
        "scale_meaning": SCALES[claim.scale],
        "scale_dependence": claim.scale_dependence,
        "needs": {name: list(getattr(claim.needs, name)) for name in _NEEDS if getattr(claim.needs, name)},
    }


def _claims_table(paper: str, assessments: Sequence[Assessment]) -> Table:
    header = ["Claim", "The paper's numbers", "say", "Ours", "Verdict", "Proxy", "What running it takes"]
    rows = [
        [
            f"{a.claim.claim} (`{a.claim.id}`, {a.claim.section})",
            a.claim.evidence.numbers,
            a.published.verdict.replace("_", " "),
            _ours(a.verdict),
            a.verdict.outcome + (f": {a.verdict.reason}" if a.verdict.reason else ""),
            _proxy(a),
            f"{SCALES[a.claim.scale]}; {_needs(a)}",
        ]
        for a in assessments
    ]
    return Table(paper, f"Claims of {paper}", header, rows)


def _proxy(assessment: Assessment) -> str:
    if assessment.proxy is None:
        return "none"
    return f"{assessment.proxy.outcome}, with {'; '.join(assessment.departures)}. {_ours(assessment.proxy)}".strip()


def _ours(verdict: Verdict) -> str:
    shown = [_comparison(tested) for tested in verdict.comparisons[:_SHOWN]]
    more = len(verdict.comparisons) - _SHOWN
    return "; ".join([*shown, *([f"{more} more"] if more > 0 else [])]) or "none"


def _comparison(tested: Tested) -> str:
    p = min(tested.p_holds, tested.p_fails)
    tail = "" if math.isnan(p) else f", p {p:.2g}"
    return f"{tested.sentence}: {tested.estimate:.4g} ({tested.seeds} seeds{tail})"


def _needs(assessment: Assessment) -> str:
    needs = assessment.claim.needs
    shown = [", ".join(getattr(needs, name)) for name in ("methods", "encoders", "tasks")]
    count = len(needs.variants)
    return "; ".join([*shown, *([f"{count} variants"] if count > 1 else [])])


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": verdict.outcome,
        "reason": verdict.reason,
        "comparisons": [
            {
                "claimed": tested.sentence,
                "estimate": _number(tested.estimate),
                "seeds": tested.seeds,
                "p_holds": _number(tested.p_holds),
                "p_fails": _number(tested.p_fails),
                "outcome": tested.outcome,
            }
            for tested in verdict.comparisons
        ],
    }


def _printed_counts(verdicts: Sequence[str]) -> list[str]:
    return [str(verdicts.count(verdict)) for verdict in ("true", "false", "not_evaluable")]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.6g}")
