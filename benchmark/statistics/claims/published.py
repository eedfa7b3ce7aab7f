"""The papers' printed numbers as a score table, and whether each claim is true of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.published.results import load_published_results
from benchmark.statistics.claims.formulas import Check, Formula, Scope, checks, compiled, reasons, resolved
from benchmark.statistics.claims.grammar import Claim
from benchmark.statistics.claims.scores import IDENTITY, ScoreTable

_SOURCES = {"this": "run", "prior": "published"}
_REPEATS = r"\brepeats table-"
"""In the note of a number in running text that also stands in a table: the table's row has the variant."""
ROUNDING = 1e-9
"""Printed decimals are compared exactly: 0.3 - 0.1 is at least 0.2."""


@dataclass(frozen=True)
class PublishedVerdict:
    """What the printed numbers say of a claim."""

    claim: Claim
    verdict: Literal["true", "false", "not_evaluable"]
    reason: str
    """Why it is not evaluable; empty otherwise."""
    formula: Formula

    @property
    def expected(self) -> str:
        """The verdict that the claims file states."""
        stated = self.claim.evidence.published_verdict
        return stated if isinstance(stated, str) else str(stated).lower()

    @property
    def agrees(self) -> bool:
        """Whether the verdict is the stated one."""
        return self.verdict == self.expected


def published_scores(root: Path) -> ScoreTable:
    """The numbers of ``results/published/published_results.csv``; a number that a paper prints twice counts once.

    Raises:
        ConfigError: the file is malformed, or a variant matches no row or names what a note does not state.
    """
    rows = load_published_results(root)
    rows = rows[~rows["note"].str.contains(_REPEATS)]
    named = rows.assign(study=rows["paper"], source=rows["ours_or_prior"].map(_SOURCES), print="printed")
    return ScoreTable.from_rows(named[[*IDENTITY, "unit", "value", "print"]], "print")


def judge_published(claim: Claim, table: ScoreTable) -> PublishedVerdict:
    """Whether a claim is true of the printed numbers."""
    formula = compiled(claim.statement, Scope(table, claim.paper, {}))
    state = int(resolved(formula, {test: 1 if holds(test) else -1 for test in checks(formula)}))
    if state == 0:
        return PublishedVerdict(claim, "not_evaluable", "; ".join(reasons(formula)), formula)
    return PublishedVerdict(claim, "true" if state > 0 else "false", "", formula)


def holds(test: Check) -> bool:
    """Whether a comparison of single numbers is true."""
    value = float(test.values[0])
    if test.band:
        return abs(value) <= test.margin + ROUNDING
    return value > test.margin + ROUNDING if test.strict else value >= test.margin - ROUNDING
