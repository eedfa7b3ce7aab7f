"""The papers' printed numbers as a score table, and whether each claim is true of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.errors import ConfigError, DataError
from benchmark.statistics.claims.formulas import Check, Formula, Scope, checks, compiled, reasons, resolved
from benchmark.statistics.claims.grammar import Claim, PublishedVariant
from benchmark.statistics.claims.scores import IDENTITY, ScoreTable
from benchmark.statistics.inputs import read_table

PUBLISHED_FILE = Path("results") / "published" / "published_results.csv"
_SOURCES = {"this": "run", "prior": "published"}
_REPEATS = r"\brepeats table-"
"""In the note of a number in running text that also stands in a table: the table's row has the variant."""
_NAME = re.compile(r"{(\w+)}")
_PUBLISHED_COLUMNS = [
    *("paper", "table", "row", "column", "method", "encoder", "pretrain_dataset", "task", "protocol", "train_size"),
    *("metric", "value", "unit", "ours_or_prior", "note"),
]
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


def published_scores(root: Path, variants: Sequence[PublishedVariant]) -> ScoreTable:
    """The numbers of ``results/published/published_results.csv``; a number that a paper prints twice counts once.

    Raises:
        ConfigError: a variant matches no row.
        DataError: a row's note does not state what its variant names.
    """
    rows = read_table(root / PUBLISHED_FILE, _PUBLISHED_COLUMNS)
    rows = rows[~rows["note"].str.contains(_REPEATS)].assign(variant="default")
    for variant in variants:
        stated = {"paper": variant.paper, "table": variant.table, "row": variant.row, "column": variant.column}
        keep = np.logical_and.reduce([rows[key] == value for key, value in stated.items() if value is not None])
        if not keep.any():
            raise ConfigError(f"csv_variants: no row of {PUBLISHED_FILE.name} is {stated}.")
        rows.loc[keep, "variant"] = [_filled(variant.variant, note) for note in rows.loc[keep, "note"]]
    rows["study"], rows["source"] = rows["paper"], rows["ours_or_prior"].map(_SOURCES)
    rows["value"], rows["print"] = pd.to_numeric(rows["value"]), "printed"
    return ScoreTable.from_rows(rows[[*IDENTITY, "unit", "value", "print"]], "print")


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


def _filled(variant: str, note: str) -> str:
    """A variant with each name in braces read from a note such as ``US8K fold 1; class=siren``."""
    stated = dict(part.split("=", 1) for part in note.split("; ") if "=" in part)

    def value(match: re.Match[str]) -> str:
        if match[1] not in stated:
            raise DataError(f"{PUBLISHED_FILE.name}: the note {note!r} does not state {match[1]}=... for {variant!r}.")
        return stated[match[1]]

    return _NAME.sub(value, variant)
