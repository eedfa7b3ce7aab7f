"""Arithmetic of expressions, entry by entry along a score table's axis, that keeps every maximum and minimum symbolic.

The maximum of several noisy means is biased upwards, so ``left > max(a, b)`` is not tested on the maximum: it is
``left > a`` and ``left > b``. Sums and differences distribute over maxima and minima, so an expression becomes a tree
of them whose leaves are plain arithmetic on scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.statistics.bootstrap import Floats
from benchmark.statistics.claims.scores import NotEvaluableError


@dataclass(frozen=True)
class Line:
    """Plain arithmetic on scores: values ``(K,)`` and how they read."""

    values: Floats
    text: str


@dataclass(frozen=True)
class Extremum:
    """The largest or smallest of several terms."""

    kind: Literal["max", "min"]
    parts: tuple[Term, ...]


Term = Line | Extremum


def extremum(kind: Literal["max", "min"], parts: Sequence[Term]) -> Term:
    """The largest or smallest of ``parts``; of one, that one."""
    return parts[0] if len(parts) == 1 else Extremum(kind, tuple(parts))


def difference(left: Term, right: Term) -> Term:
    """``left`` minus ``right``."""
    return _combined(left, right, _minus, flips=True)


def mean(parts: Sequence[Term]) -> Term:
    """The mean of several terms."""
    total = parts[0]
    for part in parts[1:]:
        total = _combined(total, part, lambda a, b: Line(a.values + b.values, f"{a.text}, {b.text}"), flips=False)
    return _mapped(total, lambda line: Line(line.values / len(parts), f"mean({line.text})"), flips=False)


def absolute(term: Term) -> Term:
    """``|x|`` as the larger of ``x`` and ``-x``, which is unbiased where the difference is nothing but noise."""
    return Extremum("max", (term, _mapped(term, lambda line: Line(-line.values, f"-({line.text})"), flips=True)))


def ratio(left: Term, right: Term) -> Term:
    """``left`` over ``right``.

    Raises:
        NotEvaluableError: the divisor is zero somewhere; or a maximum or minimum is divided, or divides, and not all of
            both terms is positive, so that the order would depend on the sign.
    """
    lines = [*_lines(left), *_lines(right)]
    if any((line.values == 0).any() for line in _lines(right)):
        raise NotEvaluableError(f"{_lines(right)[0].text} is zero and cannot divide")
    if len(lines) > 2 and any((line.values <= 0).any() for line in lines):
        raise NotEvaluableError("a ratio of maxima or minima needs positive scores")
    return _combined(left, right, lambda a, b: Line(a.values / b.values, f"{_grouped(a)} / {_grouped(b)}"), flips=True)


def _combined(left: Term, right: Term, join: Callable[[Line, Line], Line], flips: bool) -> Term:
    """``join`` of every pair of lines; it rises with ``left``, and with ``right`` unless it ``flips``."""
    if isinstance(left, Extremum):
        return Extremum(left.kind, tuple(_combined(part, right, join, flips) for part in left.parts))
    return _mapped(right, lambda line: join(left, line), flips)


def _mapped(term: Term, change: Callable[[Line], Line], flips: bool) -> Term:
    if isinstance(term, Line):
        return change(term)
    kind = _OPPOSITE[term.kind] if flips else term.kind
    return Extremum(kind, tuple(_mapped(part, change, flips) for part in term.parts))


_OPPOSITE: dict[Literal["max", "min"], Literal["max", "min"]] = {"max": "min", "min": "max"}


def _lines(term: Term) -> list[Line]:
    return [term] if isinstance(term, Line) else [line for part in term.parts for line in _lines(part)]


def _minus(left: Line, right: Line) -> Line:
    if right.text == "0":
        return left
    text = f"-({right.text})" if left.text == "0" else f"{left.text} - {_grouped(right)}"
    return Line(np.subtract(left.values, right.values), text)


def _grouped(line: Line) -> str:
    return f"({line.text})" if " - " in line.text or " / " in line.text else line.text
