"""A comparison with the accepted run as Markdown, fit for a pull request and a terminal, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmark.columns import size_in_words
from benchmark.reporting.formats import NOT_ASKED, Table, as_markdown
from benchmark.statistics.differences import Difference, shown
from benchmark.statistics.movements import CellChange
from benchmark.statistics.published import PublishedMatch
from benchmark.statistics.reference import CODE, Comparison
from benchmark.statistics.tolerance import EXACT

SHOWN = 20
"""Rows of the longest table; the JSON has them all."""


def as_text(profile: str, comparison: Comparison, published: Sequence[PublishedMatch]) -> str:
    """Markdown: the verdict and its reasons, what moved, what differs, and the published numbers."""
    parts = [
        f"## Profile `{profile}` against its accepted run: {headline(comparison)}",
        *([_bullets(comparison.failures)] if comparison.failures else []),
        *([_bullets(comparison.notes)] if comparison.notes else []),
        *([as_markdown(_moved(comparison.changes))] if comparison.changes else []),
        *([as_markdown(_differs(comparison.differences, len(comparison.kinds)))] if comparison.differences else []),
        *([f"New, so without a reference: {'; '.join(comparison.new)}."] if comparison.new else []),
        _published(published),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def headline(comparison: Comparison) -> str:
    """One line: passed or not, and how it was compared."""
    kinds = Counter(comparison.kinds.values())
    how = {"exact": "exactly", "numerical": "by the numerical tolerance", "seed": "by the tolerance of seeds"}
    ways = ", ".join(f"{count} runs {how[kind]}" for kind, count in sorted(kinds.items()))
    beyond = sum(change.beyond for change in comparison.changes)
    equal = comparison.cells - len(comparison.changes)
    counts = f"{equal} cells equal, {len(comparison.changes) - beyond} within tolerance, {beyond} beyond"
    return f"{'FAILED' if comparison.regressed else 'passed'} ({ways or 'no run in common'}; {counts})"


def as_record(profile: str, comparison: Comparison, published: Sequence[PublishedMatch]) -> dict[str, Any]:
    """The same, complete and JSON-able."""
    changes = [{**asdict(change), "points": change.points, "beyond": change.beyond} for change in comparison.changes]
    return {
        "profile": profile,
        "passed": not comparison.regressed,
        **asdict(comparison),
        "changes": changes,
        "published": [{**asdict(match), "within": match.within} for match in published],
    }


def _bullets(sentences: Sequence[str]) -> str:
    more = [f"{len(sentences) - SHOWN} more, in the JSON."] if len(sentences) > SHOWN else []
    return "\n".join(f"- {sentence}" for sentence in [*sentences[:SHOWN], *more])


def _moved(changes: Sequence[CellChange]) -> Table:
    scores = ["Metric", "Accepted", "Now", "Test clips", "Points", "Tolerance", "Verdict"]
    header = ["Run", "Task", "Protocol", *scores, "Hashes that differ"]
    rows = [
        [
            change.name + ("" if change.variant == "default" else f" ({change.variant})"),
            change.task,
            change.protocol + ("" if change.train_size == "full" else f", {size_in_words(change.train_size)}"),
            change.metric + ("" if change.unit == "clip" else f", {change.unit}"),
            f"{change.accepted:.4f}",
            f"{change.current:.4f}",
            f"{change.moved:+.1f} of {change.clips}",
            f"{change.points:+.1f}",
            "none" if change.tolerance == EXACT else f"{change.tolerance:.1f}",
            change.verdict,
            ", ".join(change.differing) or "none",
        ]
        for change in changes[:SHOWN]
    ]
    notes = [f"{len(changes) - SHOWN} more cells, in the JSON."] if len(changes) > SHOWN else []
    return Table("moved", "What moved, worst first; movement and tolerance in test clips", header, rows, notes)


def _differs(differences: Sequence[Difference], runs: int) -> Table:
    header = ["What differs", "Accepted", "Now", "Of"]
    facts = [d for d in differences if d.facet != "code"]
    rows = [[d.path, shown(d.accepted), shown(d.current), _names(d.of, runs)] for d in facts[:SHOWN]]
    for path, label in CODE.items():
        if names := sorted(name for d in differences if d.facet == "code" and d.path == path for name in d.of):
            rows.append([label, NOT_ASKED, "other", _names(names, runs)])
    notes = [f"{len(facts) - SHOWN} more, in the JSON."] if len(facts) > SHOWN else []
    return Table("differs", "What made these numbers and is not what it was", header, rows, notes)


def _published(matches: Sequence[PublishedMatch]) -> str:
    if not matches:
        return (
            "No published number has method, encoder, pre-training data, task, protocol and train size in common with a "
            "run of this profile."
        )
    header = ["Paper", "Run", "Task", "Protocol", "Published", "Ours", "Within"]
    said = {True: "yes", False: "no", None: "no interval"}
    rows = [
        [m.paper, m.run, m.task, m.protocol, f"{100 * m.published:.1f}", _interval(m), said[m.within]] for m in matches
    ]
    return as_markdown(Table("published", "Against the published numbers, percent with 95 % intervals", header, rows))


def _interval(match: PublishedMatch) -> str:
    bounds = (
        "" if match.lower is None or match.upper is None else f" [{100 * match.lower:.1f}, {100 * match.upper:.1f}]"
    )
    return f"{100 * match.ours:.1f}{bounds}"


def _names(names: Sequence[str], runs: int) -> str:
    if len(names) == runs > 1:
        return "all runs"
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
