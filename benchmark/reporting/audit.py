"""The tables by which a reader checks a result: comparisons, diagnostics, provenance, and what was not run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmark.reporting.formats import NOT_ASKED, Table
from benchmark.reporting.results import Results, task_title
from benchmark.statistics.findings import steps_of
from benchmark.statistics.rows import ComparisonRow

_SHORT_HASH = 8


def comparison_table(results: Results) -> Table:
    """Every run against its Untrained reference."""
    header = ["Run", "Task", "Protocol", "Train size", "Difference, points", "p", "p (Holm)", "Sources", "Detectable"]
    notes = [
        "Differences with 95 % intervals over seeds, head replicas and sources. p: sign flips of source recordings, "
        "seeds averaged; Holm's adjustment is over all rows. Detectable: found in 80 % of trials."
    ]
    rows = [_comparison(row) for row in results.comparisons if row.status == "ok"]
    return Table("comparisons", "Paired comparisons with Untrained", header, rows, notes)


def _comparison(row: ComparisonRow) -> list[str]:
    interval = "" if row.lower is None or row.upper is None else f" [{100 * row.lower:+.1f}, {100 * row.upper:+.1f}]"
    difference = f"{100 * (row.difference or 0):+.1f}{interval}"
    setting = [row.title, task_title(row.task), row.protocol, row.train_size]
    return [
        *setting,
        difference,
        _p(row.p),
        _p(row.p_holm),
        str(row.sources),
        _points(row.minimum_detectable_difference),
    ]


def missing_table(results: Results) -> Table:
    """Every cell that was not run, with its reason."""
    header = ["Run", "Task", "Protocol", "Train size", "Reason"]
    rows = [
        [row.title, task_title(row.task), row.protocol, row.train_size, row.reason]
        for row in results.summary
        if row.reason
    ]
    return Table("missing", "Cells that were not run, or not with every seed", header, rows)


def diagnostics_table(results: Results) -> Table:
    """What each run's evaluation measured about its embeddings: a row for each group of numbers."""
    records = [(name, *record) for name, nested in results.diagnostics.items() for record in _records(nested, "")]
    columns = list(dict.fromkeys(column for *_, values in records for column in values))
    rows = [
        [name, context or NOT_ASKED, *(_text(values.get(column)) for column in columns)]
        for name, context, values in records
    ]
    header = ["Run", "Of", *(column.replace("_", " ") for column in columns)]
    return Table("diagnostics", "Diagnostics of each run's embeddings", header, rows)


def provenance_table(results: Results) -> Table:
    """What made each run: device, steps, clips, weights and code."""
    header = ["Run", "Device", "Steps", "Clips used", "Clips left out", "Parameters", "Weights", "Data", "Code"]
    rows = [_provenance(name, record) for name, record in results.provenance.items()]
    notes = ["Clips of a run that is trained once a fold are those of its first part; so are its weights."]
    return Table("provenance", "What made each run", header, rows, notes)


def versions(results: Results) -> dict[str, str]:
    """Library versions that made the runs, several where runs differ."""
    found: dict[str, set[str]] = {}
    for record in results.provenance.values():
        for library, version in record.get("versions", {}).items():
            found.setdefault(library, set()).add(version)
    return {library: ", ".join(sorted(found[library])) for library in sorted(found)}


def _provenance(name: str, record: dict[str, Any]) -> list[str]:
    if record.get("status") == "not run":
        return [name, f"not run: {record['reason']}", *[NOT_ASKED] * 7]
    part: dict[str, Any] = next(iter(record.get("training", [])), {})
    corpora = part.get("clips", [])
    hashes = [list(record["weights"].values()), record["data_hash"], record["code_hash"]]
    return [
        name,
        str(record.get("device")),
        f"{steps_of(record):,}",
        _text(sum(corpus.get("used", 0) for corpus in corpora)),
        _text(sum(corpus.get("excluded", 0) for corpus in corpora)),
        _text(part.get("parameters", {}).get("encoder")),
        *(values[0][:_SHORT_HASH] if values else NOT_ASKED for values in hashes),
    ]


def _records(value: Any, context: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Scalars that stand together in nested JSON, with the path to them, which texts beside them join."""
    if isinstance(value, list):
        for item in value:
            yield from _records(item, context)
    elif isinstance(value, dict):
        names = [item for item in value.values() if isinstance(item, str)]
        here = " ".join(filter(None, [context, *names]))
        numbers = {key: item for key, item in value.items() if isinstance(item, int | float)}
        if numbers:
            yield here, numbers
        for key, item in value.items():
            yield from _records(item, f"{here} {key}".strip())


def _text(value: Any) -> str:
    if value is None:
        return NOT_ASKED
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}"


def _p(value: float | None) -> str:
    return NOT_ASKED if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _points(value: float | None) -> str:
    return NOT_ASKED if value is None else f"{100 * value:.1f}"
