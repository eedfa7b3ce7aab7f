"""All claims on a score table of 100,000 rows: ours, against the same grammar with one pandas filter a selector.

The table has every score that a claim asks for, five seeds each, with the printed value and noise where there is one,
among scores that no claim asks for. Both ways test every comparison and give a verdict on every claim; ours also reads the
rows into cells, which the filter is given. Target: within 5 seconds, and the same verdicts and estimates.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.seeding import numpy_stream
from benchmark.statistics.claims.grammar import ClaimsFile, load_claims
from benchmark.statistics.claims.published import published_scores
from benchmark.statistics.claims.scores import IDENTITY, Indices, NotEvaluableError, ScoreTable
from benchmark.statistics.claims.verdicts import Evidence, Verdict, judge
from perf.measure import alternate, report

ROWS, SEEDS = 100_000, 5
NOISE = 0.02


class FilteredTable(ScoreTable):
    """Finds cells by comparing whole columns of all rows, as one would at a prompt."""

    rows: pd.DataFrame

    def select(self, where: Any) -> Indices:
        """Cells whose rows match."""
        found = self.rows
        for column, wanted in where.items():
            found = found[found[column].isin([wanted] if isinstance(wanted, str) else list(wanted))]
        if not len(found):
            raise NotEvaluableError("no score")
        return np.unique(found["cell"].to_numpy())


def score_rows(file: ClaimsFile, published: ScoreTable) -> pd.DataFrame:
    """100,000 rows: the printed cells and every combination a claim needs, by seed, filled up with others."""
    stream = numpy_stream(0, "perf", "claims")
    printed = published.cells.assign(value=published.values[:, 0])
    printed["value"] *= np.where(printed["unit"] == "percent", 0.01, 1.0)
    needed = [
        dict(
            zip(
                IDENTITY,
                (claim.paper, "run", method, encoder, "any", variant, task, protocol, size, metric),
                strict=True,
            )
        )
        for claim in file.claims
        for needs in [claim.needs]
        for method, encoder, variant, task, protocol, size, metric in product(
            needs.methods,
            needs.encoders,
            needs.variants or ("default",),
            needs.tasks,
            needs.protocols,
            needs.train_sizes or ("full",),
            needs.metrics,
        )
    ]
    others = pd.DataFrame(needed).drop_duplicates().assign(value=0.5, unit="fraction")
    cells = pd.concat([printed[printed["source"] == "run"].assign(unit="fraction"), others])
    cells = cells.drop_duplicates([column for column in IDENTITY if column != "pretrain_dataset"], ignore_index=True)
    count = -(-ROWS // SEEDS)
    copies = [
        cells.assign(study=cells["study"] + (f"-{index}" if index else "")) for index in range(-(-count // len(cells)))
    ]
    rows = pd.concat(copies, ignore_index=True).iloc[:count]
    rows = rows.loc[rows.index.repeat(SEEDS)].assign(pretrain_seed=np.tile(np.arange(SEEDS), count))
    rows["value"] += stream.normal(0, NOISE, len(rows))
    return rows.iloc[stream.permutation(len(rows))].reset_index(drop=True)


def filtered(rows: pd.DataFrame) -> FilteredTable:
    plain = ScoreTable.from_rows(rows, "pretrain_seed")
    table = FilteredTable(plain.cells, plain.values, plain.axis)
    numbered = plain.cells.assign(cell=np.arange(len(plain.cells)))
    object.__setattr__(table, "rows", rows.merge(numbered, on=[*IDENTITY, "unit"]))
    return table


def verdicts(file: ClaimsFile, table: ScoreTable, published: ScoreTable) -> list[Verdict]:
    evidence = Evidence(table, published)
    return [judge(claim, evidence) for claim in file.claims]


def main() -> None:
    file = load_claims(Path.cwd())
    published = published_scores(Path.cwd())
    rows = score_rows(file, published)
    naive = filtered(rows)

    def by_filter() -> list[Verdict]:
        return verdicts(file, naive, published)

    def by_index() -> list[Verdict]:
        return verdicts(file, ScoreTable.from_rows(rows, "pretrain_seed"), published)

    times = alternate(by_filter, by_index, repeats=3)
    found = by_index()
    report(
        "claims",
        {
            "claims": len(file.claims),
            "rows": len(rows),
            "cells": len(naive.cells),
            "comparisons": sum(len(verdict.comparisons) for verdict in found),
            **times,
            "target_s": 5,
            "verdicts": Counter(verdict.outcome for verdict in found),
            "equal": found == by_filter(),
        },
    )


if __name__ == "__main__":
    main()
