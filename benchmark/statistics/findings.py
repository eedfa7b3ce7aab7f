"""Whether pre-training helps: the rule of docs/protocol.md applied to a study's headline table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmark.config import TableSpec
from benchmark.statistics.cells import CellKey
from benchmark.statistics.estimates import SATURATED, Estimates
from benchmark.statistics.families import Family, StudyResults, cell_key, headline
from benchmark.statistics.rows import ComparisonRow, rounded

TASKS_NEEDED = 2
ALPHA = 0.05

RULE = (
    f"Pre-training helps where a method beats Untrained, with paired p < {ALPHA}, on at least {TASKS_NEEDED} tasks "
    "that are not saturated, with the baselines shown beside it. Otherwise the finding is negative."
)
SATURATION = (
    f"A task is saturated where a fixed feature or an Untrained encoder already reaches {100 * SATURATED:.0f} %."
)
_ENDINGS = {
    "helps": "pre-training helps here",
    "negative": "a negative finding",
    "undecided": f"fewer than {TASKS_NEEDED} such tasks were scored, so that nothing can be said",
}


def findings(
    results: StudyResults, rows: Estimates, runs: Mapping[str, Any], diagnostics: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """One finding a pre-trained method (the families that share a title), with what supports it.

    Args:
        results: the study's families.
        rows: its estimates.
        runs: provenance by run name, of which the steps are quoted.
        diagnostics: diagnostics by run name, of which the effective rank is quoted.
    """
    table = headline(results.study, results.families)
    if table is None:
        return []
    methods: dict[str, list[Family]] = {}
    for family in results.families.values():
        if family.role == "pre-trained" and family.run in table.rows:
            methods.setdefault(family.facts.title, []).append(family)
    return [
        _finding(title, families, _tested(families, table, rows), results, runs, diagnostics)
        for title, families in methods.items()
    ]


def steps_of(record: Mapping[str, Any]) -> int:
    """Pre-training steps of a run by its ``run.json``: those of its longest part, 0 where nothing was trained."""
    return max((part["steps"] for part in record.get("training", [])), default=0)


def _tested(families: Sequence[Family], table: TableSpec, rows: Estimates) -> list[ComparisonRow]:
    shown = {(family.run, *cell_key(table, family.run, task)) for family in families for task in table.tasks}
    return [row for row in rows.comparisons if row.cell in shown and row.status == "ok"]


def _finding(
    title: str,
    families: Sequence[Family],
    tested: list[ComparisonRow],
    results: StudyResults,
    runs: Mapping[str, Any],
    diagnostics: Mapping[str, Any],
) -> dict[str, Any]:
    names = [name for family in families for name in family.facts.names]
    usable = {row.task for row in tested if not row.saturated}
    won = {task for task in usable if all(_beats(row) for row in tested if row.task == task)}
    verdict = "helps" if len(won) >= TASKS_NEEDED else "negative" if len(usable) >= TASKS_NEEDED else "undecided"
    return {
        "title": title,
        "verdict": verdict,
        "statement": _statement(title, verdict, tested, len(won), len(usable)),
        "runs": [family.run for family in families],
        "tasks": [_evidence(row, results) for row in tested],
        "largest_steps": max(steps_of(runs[name]) for name in names),
        "effective_rank": sorted({rounded(rank) for name in names for rank in _effective_ranks(diagnostics[name])}),
        "transductive": any(family.facts.transductive for family in families),
    }


def _effective_ranks(value: Any) -> list[float]:
    """Every ``effective_rank`` in nested diagnostics: a collapsed encoder has a small one."""
    if isinstance(value, list):
        return [rank for item in value for rank in _effective_ranks(item)]
    if not isinstance(value, Mapping):
        return []
    below = [rank for item in value.values() for rank in _effective_ranks(item)]
    return below + ([float(value["effective_rank"])] if "effective_rank" in value else [])


def _beats(row: ComparisonRow) -> bool:
    return row.difference is not None and row.p is not None and row.difference > 0 and row.p < ALPHA


def _statement(title: str, verdict: str, tested: list[ComparisonRow], won: int, usable: int) -> str:
    details = "; ".join(
        f"{row.task} {100 * (row.difference or 0):+.1f} points, p = {row.p:.2g}{', saturated' if row.saturated else ''}"
        for row in tested
    )
    if not tested:
        return f"{title} was not compared with Untrained, so that nothing can be said."
    return f"{title} beats Untrained on {won} of {usable} unsaturated tasks ({details}): {_ENDINGS[verdict]}."


def _evidence(row: ComparisonRow, results: StudyResults) -> dict[str, Any]:
    """One comparison, with the accuracies of the baselines that need no training."""
    key = CellKey(row.task, row.protocol, row.train_size)
    baselines = {
        family.facts.title: rounded(family.cells[key].accuracy)
        for family in results.families.values()
        if family.role == "baseline" and key in family.cells
    }
    facts = {name: rounded(value) for name, value in asdict(row).items() if name not in {"study", "title", "role"}}
    return facts | {"beats_untrained": _beats(row), "baselines": baselines}
