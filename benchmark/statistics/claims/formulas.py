"""Statements as formulas: comparisons of plain arithmetic on scores, joined by "at least k of these hold".

``all`` is at least n of n, ``any`` at least 1. One formula serves the printed numbers (is each comparison true?), our
scores (is it significantly so?) and simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from benchmark.statistics.bootstrap import Floats
from benchmark.statistics.claims import terms
from benchmark.statistics.claims.bindings import Binding
from benchmark.statistics.claims.grammar import (
    Abs,
    All,
    Any_,
    Choice,
    Comparison,
    Diff,
    Expression,
    ForEach,
    Max,
    Mean,
    Min,
    Point,
    Ratio,
    Selector,
    Statement,
    Trend,
    Unit,
)
from benchmark.statistics.claims.scores import (
    Indices,
    NotEvaluableError,
    ScoreTable,
    described,
)
from benchmark.statistics.claims.terms import Line, Term

_FACTORS = {("fraction", "percent"): 100.0, ("percent", "fraction"): 0.01, ("percent", "none"): 0.01}
"""From the unit of a score to the unit of a statement; all other pairs are plain numbers and stay as they are."""


@dataclass(frozen=True, eq=False)
class Check:
    """One comparison: ``values > margin`` (or at least ``margin``), or ``|values| <= margin`` where it is a band."""

    values: Floats
    """``(K,)``; nan where an entry lacks a score."""
    margin: float
    text: str
    strict: bool = True
    band: bool = False

    @property
    def sentence(self) -> str:
        """What is claimed."""
        if self.band:
            return f"|{self.text}| <= {self.margin:g}"
        return f"{self.text} {'>' if self.strict else '>='} {self.margin:g}"


@dataclass(frozen=True)
class AtLeast:
    """At least ``count`` of the parts hold."""

    count: int
    parts: tuple[Formula, ...]


@dataclass(frozen=True)
class Unknown:
    """A statement whose scores are not there, with the reason."""

    reason: str


Formula = Check | AtLeast | Unknown


@dataclass(frozen=True)
class Scope:
    """What a statement inherits: restrictions, the unit, and the values its instance stands for."""

    table: ScoreTable
    paper: str
    where: dict[str, Choice]
    unit: Unit = "fraction"
    instance: tuple[str, ...] = ()
    published: ScoreTable | None = None
    """Where ``source: published`` and the shape of an aggregate are read, if not in ``table``."""
    binding: Binding | None = None

    def within(self, where: Selector | None, unit: Unit | None) -> Scope:
        """The scope inside a statement."""
        return replace(self, where=self.where | (where.stated() if where else {}), unit=unit or self.unit)

    def instantiated(self, values: dict[str, str]) -> Scope:
        """The scope of one combination of a ``for_each``."""
        return replace(self, where={**self.where, **values}, instance=(*self.instance, *values.values()))


def compiled(statement: Statement, scope: Scope) -> Formula:
    """The formula of a statement on a score table."""
    scope = scope.within(statement.where, statement.unit)
    if isinstance(statement, All):
        return _all([compiled(part, scope) for part in statement.all])
    if isinstance(statement, Any_):
        return AtLeast(1, tuple(compiled(part, scope) for part in statement.any))
    if isinstance(statement, ForEach):
        parts = [compiled(statement.holds, scope.instantiated(values)) for values in statement.bindings()]
        return AtLeast(len(parts) if statement.require == "all" else statement.require, tuple(parts))
    try:
        return _comparison(statement, scope) if isinstance(statement, Comparison) else _trend(statement, scope)
    except NotEvaluableError as error:
        return Unknown(str(error))


def checks(formula: Formula) -> Iterator[Check]:
    """Every comparison of a formula, in order."""
    if isinstance(formula, Check):
        yield formula
    elif isinstance(formula, AtLeast):
        for part in formula.parts:
            yield from checks(part)


def reasons(formula: Formula) -> list[str]:
    """Why parts of a formula are unknown, each reason once."""
    if isinstance(formula, Unknown):
        return [formula.reason]
    parts = formula.parts if isinstance(formula, AtLeast) else ()
    return list(dict.fromkeys(reason for part in parts for reason in reasons(part)))


def resolved(formula: Formula, states: Mapping[Check, Any]) -> Any:
    """Kleene's three-valued logic: 1 holds, -1 does not hold, 0 open.

    Args:
        formula: what is asked.
        states: each test -> its state, a number or an array ``(D,)`` of them (simulated draws).

    Returns:
        The formula's state, of the shape of a test's.
    """
    if isinstance(formula, Unknown):
        return 0
    if isinstance(formula, Check):
        return states[formula]
    parts = [np.asarray(resolved(part, states)) for part in formula.parts]
    held, failed = sum(part == 1 for part in parts), sum(part == -1 for part in parts)
    return np.where(held >= formula.count, 1, np.where(len(parts) - failed < formula.count, -1, 0))


def _comparison(statement: Comparison, scope: Scope) -> Formula:
    prefix = f"{', '.join(scope.instance)}: " if scope.instance else ""
    left = _evaluated(statement.left, scope)
    if isinstance(statement.right, float) and statement.relation in {">", ">="}:
        return _above(left, statement.right + statement.margin, statement.relation == ">", prefix)
    right = _evaluated(statement.right, scope)
    if statement.relation == "~":
        return _within(terms.difference(left, right), statement.margin, prefix)
    if statement.relation in {"<", "<="}:
        left, right = right, left
    return _above(terms.difference(left, right), statement.margin, statement.relation in {"<", ">"}, prefix)


def _trend(statement: Trend, scope: Scope) -> Formula:
    selectors = statement.series.selectors()
    points = {
        label: _selected(selector, scope) for label, selector in zip(statement.series.labels, selectors, strict=True)
    }
    prefix = f"{', '.join(scope.instance)}: " if scope.instance else ""
    return _SHAPES[statement.shape](points, statement.marked, statement.tolerance, prefix)


# Shapes: points by label -> formula. A series rises where the later point is above the earlier one.
Points = dict[str, Term]
Build = Callable[[Points, tuple[str, ...], float, str], Formula]


def _steps(sign: int, strict: bool) -> Build:
    def build(points: Points, _: tuple[str, ...], tolerance: float, prefix: str) -> Formula:
        pairs = [pair[::sign] for pair in pairwise(points.values())]
        return _all([_above(terms.difference(b, a), 0.0 - tolerance, strict, prefix) for a, b in pairs])

    return build


def _saturating(points: Points, at: tuple[str, ...], tolerance: float, prefix: str) -> Formula:
    values, start = list(points.values()), list(points).index(at[0])
    rises = [_above(terms.difference(b, a), 0.0, True, prefix) for a, b in pairwise(values[: start + 1])]
    flat = [_within(terms.difference(b, a), tolerance, prefix) for a, b in combinations(values[start:], 2)]
    return _all([*rises, *flat])


def _peak(points: Points, at: tuple[str, ...], tolerance: float, prefix: str) -> Formula:
    labels, values = list(points), list(points.values())

    def highest_at(top: int) -> Formula:
        falls = [pair if index >= top else pair[::-1] for index, pair in enumerate(pairwise(range(len(values))))]
        # neighbours of the top are compared as steps already
        falls += [(top, other) for other in range(len(values)) if abs(other - top) > 1]
        return _all([_above(terms.difference(values[a], values[b]), 0.0 - tolerance, False, prefix) for a, b in falls])

    return AtLeast(1, tuple(highest_at(labels.index(label)) for label in at))


def _best(sign: int) -> Build:
    """Every other point has one of ``at`` above it (``sign`` 1) or below it (-1)."""

    def build(points: Points, at: tuple[str, ...], tolerance: float, prefix: str) -> Formula:
        marked = terms.extremum("max" if sign > 0 else "min", [points[label] for label in at])
        others = [term for label, term in points.items() if label not in at]
        pairs = [(marked, other)[::sign] for other in others]
        return _all([_above(terms.difference(above, below), 0.0 - tolerance, False, prefix) for above, below in pairs])

    return build


def _lowest_group(points: Points, at: tuple[str, ...], tolerance: float, prefix: str) -> Formula:
    others = [term for label, term in points.items() if label not in at]
    pairs = [(points[label], other) for label in at for other in others]
    return _all([_above(terms.difference(other, low), 0.0 - tolerance, True, prefix) for low, other in pairs])


_SHAPES: dict[str, Build] = {
    "increasing": _steps(1, strict=True),
    "nondecreasing": _steps(1, strict=False),
    "decreasing": _steps(-1, strict=True),
    "nonincreasing": _steps(-1, strict=False),
    "saturating": _saturating,
    "peak": _peak,
    "argmax": _best(1),
    "argmin": _best(-1),
    "lowest_group": _lowest_group,
}


def _all(parts: Sequence[Formula]) -> Formula:
    return parts[0] if len(parts) == 1 else AtLeast(len(parts), tuple(parts))


def _above(term: Term, margin: float, strict: bool, prefix: str) -> Formula:
    """The largest of several exceeds a margin where any does, the smallest where all do."""
    if isinstance(term, Line):
        return Check(term.values, margin, prefix + term.text, strict)
    parts = tuple(_above(part, margin, strict, prefix) for part in term.parts)
    return AtLeast(1 if term.kind == "max" else len(parts), parts)


def _within(term: Term, margin: float, prefix: str) -> Formula:
    if isinstance(term, Line):
        return Check(term.values, margin, prefix + term.text, strict=False, band=True)
    zero = Line(np.zeros(1), "0")
    return _all([_above(side, -margin, False, prefix) for side in (term, terms.difference(zero, term))])


def _evaluated(expression: Expression, scope: Scope) -> Term:
    if isinstance(expression, Selector):
        return _selected(expression, scope)
    if isinstance(expression, Diff):
        return terms.difference(*(_evaluated(part, scope) for part in expression.diff))
    if isinstance(expression, Ratio):
        return terms.ratio(*(_evaluated(part, scope) for part in expression.ratio))
    if isinstance(expression, Max):
        return terms.extremum("max", [_evaluated(part, scope) for part in expression.max])
    if isinstance(expression, Min):
        return terms.extremum("min", [_evaluated(part, scope) for part in expression.min])
    if isinstance(expression, Mean):
        return terms.mean([_evaluated(part, scope) for part in expression.mean])
    if isinstance(expression, Abs):
        return terms.absolute(_evaluated(expression.abs, scope))
    return Line(np.full(len(scope.table.axis), float(expression)), f"{expression:g}")


def _selected(selector: Selector, scope: Scope) -> Term:
    """The score that a selector finds, or the mean, largest or smallest of several.

    Raises:
        NotEvaluableError: there is none, several where one is meant, or fewer than the aggregate covers in print.
    """
    where: dict[str, Choice] = {"variant": "default", **scope.where, **selector.stated()}
    aggregate, source = where.pop("aggregate", "one"), where.pop("source", "run")
    if source == "published":
        table, actual = scope.published or scope.table, {"study": scope.paper, "source": "published", **where}
    else:
        table, actual = scope.table, {"study": scope.paper, "source": "run", **where}
        actual = scope.binding.applied(actual) if scope.binding else actual
    found = table.select(actual)
    if source == "run" and scope.published is not None:
        _require_coverage(table, found, where, scope)
    text = selector.label if isinstance(selector, Point) else _reads(selector, scope)
    values = _converted(table, found, scope.unit)
    if values.shape[1] < len(scope.table.axis):
        values = np.repeat(values, len(scope.table.axis), axis=1)
    if aggregate == "one":
        if len(found) > 1:
            raise NotEvaluableError(f"{described(actual)} matches {len(found)} scores: {_differences(table, found)}")
        return Line(values[0], text)
    if aggregate == "mean":
        return Line(values.mean(axis=0), f"mean {text}")
    if aggregate == "mean_over_tasks":
        tasks = table.cells["task"].iloc[found].to_numpy()
        means = [values[tasks == task].mean(axis=0) for task in dict.fromkeys(tasks)]
        return Line(np.mean(means, axis=0), f"mean {text}")
    names = _varying(table, found)
    lines = [Line(row, name) for row, name in zip(values, names, strict=True)]
    return terms.extremum("max" if aggregate == "max" else "min", lines)


def _converted(table: ScoreTable, found: Indices, unit: Unit) -> Floats:
    units = table.cells["unit"].iloc[found]
    factors = np.array([_FACTORS.get((own, unit), 1.0) for own in units])
    converted: Floats = table.values[found] * factors[:, None]
    return converted


def _require_coverage(table: ScoreTable, found: Indices, where: dict[str, Choice], scope: Scope) -> None:
    """An aggregate over several columns covers as many combinations of them as the paper's own numbers do."""
    columns = [column for column, choice in where.items() if isinstance(choice, tuple)]
    if len(columns) < 2 or scope.published is None:
        return
    try:
        printed = scope.published.select({"study": scope.paper, "source": "run", **where})
    except NotEvaluableError:
        return  # nothing is printed to be covered
    ours, theirs = (
        len(cells.iloc[rows][columns].drop_duplicates())
        for cells, rows in [(table.cells, found), (scope.published.cells, printed)]
    )
    if ours < theirs:
        raise NotEvaluableError(f"{described(where)}: {ours} of the {theirs} averaged scores were run")


def _reads(selector: Selector, scope: Scope) -> str:
    """A selector in a word: what it states, else the instance it stands for."""
    stated = [value for key, value in selector.stated().items() if key not in {"aggregate", "source"}]
    words = ["|".join(value) if isinstance(value, tuple) else str(value) for value in stated]
    return " ".join(words or scope.instance[-1:] or ["score"])


def _varying(table: ScoreTable, found: Indices) -> list[str]:
    """What tells several cells apart, one text a cell."""
    cells = table.cells.iloc[found]
    columns = [column for column in cells.columns if cells[column].nunique() > 1] or ["method"]
    return [" ".join(row) for row in cells[columns].itertuples(index=False)]


def _differences(table: ScoreTable, found: Indices) -> str:
    return "; ".join(_varying(table, found)[:4]) + (", ..." if len(found) > 4 else "")
