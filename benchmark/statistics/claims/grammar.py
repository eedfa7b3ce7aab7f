"""The grammar of ``results/published/claims.yaml`` as typed models; the file's head says what each element means."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from benchmark.config import Config, load_yaml, validate
from benchmark.errors import ConfigError
from benchmark.published.results import CLAIMS_FILE, PublishedVariant

COLUMNS = ("method", "encoder", "pretrain_dataset", "variant", "task", "protocol", "train_size", "metric")
"""What a selector may restrict; a claim's paper and a score's source are restricted by the evaluator."""

Column = Literal["method", "encoder", "pretrain_dataset", "variant", "task", "protocol", "train_size", "metric"]
Choice = str | tuple[str, ...]
Unit = Literal["fraction", "percent", "none"]
Relation = Literal[">", ">=", "<", "<=", "~"]
Steps = Literal["increasing", "nondecreasing", "decreasing", "nonincreasing"]
Shape = Steps | Literal["saturating", "peak", "argmax", "argmin", "lowest_group"]
STEPS: frozenset[str] = frozenset(get_args(Steps))
"""Shapes that are about each step of a series and have no ``at``."""


class Selector(Config):
    """One score, or several made one by ``aggregate``; a column left out is unrestricted, but for ``variant``."""

    method: Choice | None = None
    encoder: Choice | None = None
    pretrain_dataset: Choice | None = None
    variant: Choice | None = None
    task: Choice | None = None
    protocol: Choice | None = None
    train_size: Choice | None = None
    metric: Choice | None = None
    aggregate: Literal["one", "mean", "mean_over_tasks", "max", "min"] | None = None
    source: Literal["run", "published"] | None = None

    def stated(self) -> dict[str, Choice]:
        """The keys that are written down, in the order of the fields."""
        return {key: value for key, value in self if value is not None and key != "label"}


class Point(Selector):
    """A labelled point of a series."""

    label: str


class Diff(Config):
    """First minus second."""

    diff: tuple[Expression, Expression]


class Ratio(Config):
    """First over second; it has no unit."""

    ratio: tuple[Expression, Expression]


class Max(Config):
    """The largest of several."""

    max: Annotated[tuple[Expression, ...], Field(min_length=1)]


class Min(Config):
    """The smallest of several."""

    min: Annotated[tuple[Expression, ...], Field(min_length=1)]


class Mean(Config):
    """The mean of several."""

    mean: Annotated[tuple[Expression, ...], Field(min_length=1)]


class Abs(Config):
    """The absolute value."""

    abs: Expression


_OPERATIONS = ("diff", "ratio", "max", "min", "mean", "abs")


def _expression_kind(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return next((name for name in _OPERATIONS if name in value), "selector")
    return "number" if isinstance(value, int | float) else None


Expression = Annotated[
    Annotated[float, Tag("number")]
    | Annotated[Selector, Tag("selector")]
    | Annotated[Diff, Tag("diff")]
    | Annotated[Ratio, Tag("ratio")]
    | Annotated[Max, Tag("max")]
    | Annotated[Min, Tag("min")]
    | Annotated[Mean, Tag("mean")]
    | Annotated[Abs, Tag("abs")],
    Discriminator(
        _expression_kind,
        custom_error_type="expression",
        custom_error_message="an expression is a number, a selector, or one of " + ", ".join(_OPERATIONS),
    ),
]


class Series(Config):
    """Ordered scores: one column varied over its values, or labelled points."""

    vary: Column | None = None
    over: tuple[str, ...] | None = None
    points: tuple[Point, ...] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Series:
        if (self.vary is None) != (self.over is None) or (self.points is None) == (self.over is None):
            raise ValueError("a series states vary and over, or points")
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels):
            raise ValueError("a series has at least two points, each once")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Varied values, or the points' labels, in order."""
        return self.over if self.over is not None else tuple(point.label for point in self.points or ())

    def selectors(self) -> tuple[Selector, ...]:
        """One a point, in order."""
        if self.points is not None:
            return self.points
        return tuple(Selector.model_validate({str(self.vary): value}) for value in self.over or ())


class _Scoped(Config):
    """What every statement may carry, inherited by everything inside it; inner keys win."""

    where: Selector | None = None
    unit: Unit | None = None


class Comparison(_Scoped):
    """``left relation right`` by more than, or by at least, ``margin``."""

    left: Expression
    relation: Relation
    right: Expression
    margin: float = 0.0

    @model_validator(mode="after")
    def _band(self) -> Comparison:
        if self.relation == "~" and self.margin <= 0:
            raise ValueError("'~' needs a margin above zero: the band within which two scores count as equal")
        return self


class Trend(_Scoped):
    """A series and its shape."""

    series: Series
    shape: Shape
    at: Choice | None = None
    tolerance: Annotated[float, Field(ge=0)] = 0.0

    @property
    def marked(self) -> tuple[str, ...]:
        """The labels named by ``at``."""
        return (self.at,) if isinstance(self.at, str) else self.at or ()

    @model_validator(mode="after")
    def _marked_points(self) -> Trend:
        if (self.shape in STEPS) != (not self.marked):
            raise ValueError(f"{self.shape} {'takes no' if self.shape in STEPS else 'needs an'} `at`")
        if unknown := [label for label in self.marked if label not in self.series.labels]:
            raise ValueError(f"`at` names {unknown[0]!r}, which is no point of the series")
        if self.shape == "saturating" and len(self.marked) > 1:
            raise ValueError("saturating has one point from which the series is flat")
        if self.shape != "saturating" and len(self.marked) == len(self.series.labels):
            raise ValueError("`at` names every point, so nothing is left to compare with")
        return self


class All(_Scoped):
    """Every statement holds."""

    all: Annotated[tuple[Statement, ...], Field(min_length=1)]


class Any_(_Scoped):
    """At least one statement holds."""

    any: Annotated[tuple[Statement, ...], Field(min_length=1)]


class ForEach(_Scoped):
    """A statement for every combination of values (a mapping), or for every listed one (a list)."""

    for_each: Annotated[dict[Column, tuple[str, ...]] | tuple[dict[Column, str], ...], Field(min_length=1)]
    require: Literal["all"] | Annotated[int, Field(ge=1)] = "all"
    holds: Statement

    @model_validator(mode="after")
    def _enough(self) -> ForEach:
        if self.require != "all" and self.require > len(self.bindings()):
            raise ValueError(f"requires {self.require} of {len(self.bindings())} statements")
        return self

    def bindings(self) -> list[dict[str, str]]:
        """Column -> value, one a statement, in the order written."""
        if isinstance(self.for_each, tuple):
            return [{str(column): value for column, value in binding.items()} for binding in self.for_each]
        return [dict(zip(self.for_each, values, strict=True)) for values in product(*self.for_each.values())]


_STATEMENTS = {"left": "comparison", "series": "trend", "all": "all", "any": "any", "for_each": "for_each"}


def _statement_kind(value: Any) -> str | None:
    kinds = [kind for key, kind in _STATEMENTS.items() if isinstance(value, Mapping) and key in value]
    return kinds[0] if kinds else None


Statement = Annotated[
    Annotated[Comparison, Tag("comparison")]
    | Annotated[Trend, Tag("trend")]
    | Annotated[All, Tag("all")]
    | Annotated[Any_, Tag("any")]
    | Annotated[ForEach, Tag("for_each")],
    Discriminator(
        _statement_kind,
        custom_error_type="statement",
        custom_error_message="a statement has one of " + ", ".join(_STATEMENTS),
    ),
]


Kind = Literal["argmax", "at_least", "equivalence", "ordering", "published_comparison", "ratio", "threshold", "trend"]


class Evidence(Config):
    """The paper's own numbers, and what they say."""

    numbers: str
    supports: Literal["yes", "partly", "no", "no_numbers"]
    arithmetic: str
    published_verdict: Literal[True, False, "not_evaluable"]


class Needs(Config):
    """Ids that a run must have so that the statement can be evaluated."""

    methods: tuple[str, ...]
    encoders: tuple[str, ...]
    tasks: tuple[str, ...]
    protocols: tuple[str, ...]
    metrics: tuple[str, ...]
    variants: tuple[str, ...] = ()
    train_sizes: tuple[str, ...] = ()


class Claim(Config):
    """One claim of a paper."""

    id: str
    paper: str
    section: str
    claim: str
    kind: Kind
    origin: Literal["abstract", "text", "table", "figure"]
    statement: Statement
    evidence: Evidence
    scale: Literal["any", "medium", "full"]
    scale_dependence: str
    needs: Needs


class ClaimsFile(Config):
    """``results/published/claims.yaml``."""

    defaults: dict[str, str]
    task_groups: dict[str, tuple[str, ...]]
    new_ids: dict[str, dict[str, str] | tuple[str, ...]]
    csv_variants: tuple[PublishedVariant, ...]
    claims: tuple[Claim, ...]


def load_claims(root: Path) -> ClaimsFile:
    """The claims of the project at ``root``.

    Raises:
        ConfigError: a key is unknown, a value of the wrong type, or an id stands twice; one sentence that names the claim.
    """
    path = root / CLAIMS_FILE
    data = load_yaml(path)
    entries = data.get("claims") if isinstance(data, Mapping) else None
    if not isinstance(entries, list):
        raise ConfigError(f"{CLAIMS_FILE}: `claims` is not a list.")
    claims = [validate(Claim, entry, f"{CLAIMS_FILE}, claim {_id(entry)}") for entry in entries]
    if twice := {claim.id for claim in claims if sum(other.id == claim.id for other in claims) > 1}:
        raise ConfigError(f"{CLAIMS_FILE}: two claims are called {min(twice)!r}.")
    file = validate(ClaimsFile, {**data, "claims": ()}, str(CLAIMS_FILE))
    return file.model_copy(update={"claims": tuple(claims)})


def _id(entry: Any) -> str:
    return str(entry.get("id", "without an id")) if isinstance(entry, Mapping) else "without an id"
