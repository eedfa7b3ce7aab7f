"""How often the rule of verdicts decides a claim about which there is nothing to decide: simulated scores without differences.

Letters in shapes: A arms, D draws, S seeds, m comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmark.config import validate
from benchmark.statistics.bootstrap import Floats
from benchmark.statistics.claims.formulas import Scope, checks, compiled, resolved
from benchmark.statistics.claims.grammar import All, Statement
from benchmark.statistics.claims.scores import IDENTITY, ScoreTable
from benchmark.statistics.claims.significance import decided, sides
from benchmark.statistics.decisions import MINIMUM_SEEDS, SeedTest
from benchmark.statistics.paired import holm

Noise = Literal["normal", "heavy", "skewed", "unequal"]
_ARMS = tuple("abcdefg")
_LEVEL, _SPREAD = 0.7, 0.02
"""Accuracy of every arm, and the standard deviation of its seeds."""
NOISES: dict[Noise, Callable[[np.random.Generator, tuple[int, int]], Floats]] = {
    "normal": lambda generator, shape: generator.standard_normal(shape),
    "heavy": lambda generator, shape: generator.standard_t(3, shape),
    "skewed": lambda generator, shape: generator.exponential(size=shape) - 1,
    "unequal": lambda generator, shape: generator.standard_normal(shape) * np.geomspace(0.25, 4, shape[0])[:, None],
}
"""Deviations of mean zero ``(A, D * S)``; skewed arms have symmetric differences, but not against a printed number."""


@dataclass(frozen=True)
class Null:
    """A statement about arms ``a`` to ``g`` and the true differences, in standard deviations, at which it is on the edge."""

    statement: Mapping[str, Any]
    shifts: tuple[float, ...] = (0.0,) * len(_ARMS)


def _order(left: str, right: str) -> dict[str, Any]:
    return {"left": {"variant": left}, "relation": ">", "right": {"variant": right}}


def _series(shape: str, *at: str) -> dict[str, Any]:
    return {"series": {"vary": "variant", "over": list(_ARMS)}, "shape": shape, **({"at": list(at)} if at else {})}


_PAIRS = [_order(*pair) for pair in ("ab", "bc", "cd", "de")]
NULLS: dict[str, Null] = {
    "ordering": Null(_order("a", "b")),
    "best of 7": Null(_series("argmax", "a")),
    "one of two is best of 7": Null(_series("argmax", "a", "b")),
    "trend over 7": Null(_series("increasing")),
    "lowest two of 7": Null(_series("lowest_group", "a", "b")),
    "above the best of 6": Null(
        {"left": {"variant": "a"}, "relation": ">", "right": {"max": [{"variant": v} for v in "bcdefg"]}}
    ),
    "above a printed number": Null({"left": {"variant": "a"}, "relation": ">", "right": _LEVEL}),
    "all of 4 orderings": Null({"all": _PAIRS}),
    "any of 4 orderings": Null({"any": _PAIRS}),
    "2 of 6 orderings": Null(
        {
            "for_each": {"variant": list("bcdefg")},
            "require": 2,
            "holds": {"left": {}, "relation": ">", "right": {"variant": "a"}},
        }
    ),
    "at least a margin, truly the margin": Null(
        {**_order("a", "b"), "relation": ">=", "margin": 2 * _SPREAD}, (2.0, 0, 0, 0, 0, 0, 0)
    ),
    "equal within a band, truly its edge": Null(
        {**_order("a", "b"), "relation": "~", "margin": 2 * _SPREAD}, (2.0, 0, 0, 0, 0, 0, 0)
    ),
}
"""Kinds of statements for which nothing should be decided."""


@dataclass(frozen=True)
class Rates:
    """Shares of draws."""

    supported: float
    contradicted: float

    @property
    def decided(self) -> float:
        """Share of verdicts other than inconclusive."""
        return self.supported + self.contradicted


def null_rates(
    null: Null, seeds: int, draws: int, generator: np.random.Generator, noise: Noise = "normal", test: SeedTest = "t"
) -> Rates:
    """How often a statement is decided on ``seeds`` simulated seeds an arm, by the rule that judges our scores."""
    if seeds < MINIMUM_SEEDS:
        return Rates(0.0, 0.0)
    shape = (len(_ARMS), draws * seeds)
    values = _LEVEL + _SPREAD * (NOISES[noise](generator, shape) + np.array(null.shifts)[:, None])
    statement: Statement = validate(All, {"all": [dict(null.statement)]}, "simulated claim").all[0]
    formula = compiled(statement, Scope(_table(values), "simulated", {}))
    comparisons = list(checks(formula))
    p_values = np.stack(
        [np.stack(sides(c.values.reshape(draws, seeds), c.margin, c.band, test), axis=1) for c in comparisons], axis=2
    )
    states = decided(holm(p_values).swapaxes(1, 2))
    verdicts = resolved(formula, dict(zip(comparisons, states.T, strict=True)))
    return Rates(float(np.mean(verdicts == 1)), float(np.mean(verdicts == -1)))


def _table(values: Floats) -> ScoreTable:
    cells = pd.DataFrame([{**dict.fromkeys(IDENTITY, "any"), "variant": arm} for arm in _ARMS])
    cells = cells.assign(study="simulated", source="run", unit="fraction")
    return ScoreTable(cells, values, tuple(map(str, range(values.shape[1]))))
