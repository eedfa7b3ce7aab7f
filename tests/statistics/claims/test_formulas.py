from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.statistics.claims.formulas import Unknown, checks, reasons, resolved
from benchmark.statistics.claims.published import holds
from benchmark.statistics.claims.scores import ScoreTable
from tests.statistics.claims.toys import by_variant, formula, table

A, B, C = ({"variant": name} for name in "abc")


def truth(data: dict[str, Any], scores: ScoreTable) -> bool | None:
    found = formula(data, scores)
    state = int(resolved(found, {test: 1 if holds(test) else -1 for test in checks(found)}))
    return {1: True, -1: False, 0: None}[state]


def compare(left: Any, relation: str, right: Any, margin: float = 0.0, unit: str = "fraction") -> dict[str, Any]:
    return {"left": left, "relation": relation, "right": right, "margin": margin, "unit": unit}


@pytest.mark.parametrize(
    ("left", "relation", "right", "margin", "expected"),
    [
        (A, ">", B, 0.2, False),  # 0.5 - 0.3 is not above 0.2
        (A, ">", B, 0.19, True),
        (A, ">=", B, 0.2, True),
        (A, ">=", B, 0.21, False),
        (B, ">=", A, -0.2, True),
        (B, ">=", A, -0.19, False),
        (B, "<", A, 0.2, False),
        (B, "<", A, 0.19, True),
        (B, "<=", A, 0.2, True),
        (B, "<=", A, 0.21, False),
        (A, "<", B, 0.0, False),
        (A, "~", B, 0.2, True),
        (A, "~", B, 0.19, False),
        (B, "~", A, 0.2, True),
        (A, ">", 0.5, 0.0, False),
        (A, ">=", 0.5, 0.0, True),
        (A, "<=", 0.5, 0.0, True),
        (A, "<", 0.5, 0.0, False),
        (A, ">", 0.4, 0.05, True),
        (A, ">", 0.4, 0.1, False),
        (0.5, "~", A, 0.01, True),
        ({"diff": [A, B]}, ">=", 0.2, 0.0, True),
        ({"diff": [A, B]}, ">", 0.2, 0.0, False),
        ({"ratio": [B, A]}, "<=", 0.6, 0.0, True),
        ({"ratio": [B, A]}, "<", 0.6, 0.0, False),
        ({"max": [B, C]}, "<", A, 0.0, True),
        ({"max": [A, C]}, "<", A, 0.0, False),
        ({"min": [A, B]}, ">", C, 0.0, True),
        ({"min": [A, C]}, ">", B, 0.0, False),
        ({"mean": [A, B, C]}, "~", 0.3, 1e-6, True),
        ({"abs": {"diff": [C, A]}}, ">=", 0.4, 0.0, True),
        ({"abs": {"diff": [C, A]}}, "<", 0.4, 0.0, False),
        ({"abs": {"diff": [A, A]}}, "<=", 0.0, 0.0, True),
        ({"diff": [{"max": [A, B, C]}, {"min": [A, B, C]}]}, ">=", 0.4, 0.0, True),
        ({"diff": [{"max": [A, B, C]}, {"min": [A, B, C]}]}, ">", 0.4, 0.0, False),
        ({"diff": [A, {"max": [B, C]}]}, "<", {"diff": [A, {"min": [B, C]}]}, 0.1, True),
        ({"ratio": [{"max": [A, B]}, {"min": [B, C]}]}, "~", 5, 1e-6, True),
        ({"mean": [{"max": [A, C]}, {"min": [B, C]}]}, "~", 0.3, 1e-6, True),
    ],
)
def test_comparisons(left: Any, relation: str, right: Any, margin: float, expected: bool):
    assert truth(compare(left, relation, right, margin), by_variant(a=0.5, b=0.3, c=0.1)) is expected


NUMBERS = st.floats(0.1, 1.0)


@settings(deadline=None, max_examples=50)  # its time is the machine's load
@given(st.lists(NUMBERS, min_size=4, max_size=4), st.floats(-0.5, 0.5))
def test_maxima_and_minima_distribute_as_numbers_do(values: list[float], margin: float):
    a, b, c, d = values
    scores = by_variant(a=a, b=b, c=c, d=d)
    cells = [{"variant": name} for name in "abcd"]
    nested = {"diff": [{"max": cells[:2]}, {"abs": {"diff": [{"min": cells[2:]}, cells[0]]}}]}
    expected = max(a, b) - abs(min(c, d) - a) - margin
    if abs(expected) > 1e-6:
        assert truth(compare(nested, ">", margin), scores) is (expected > 0)
    share = {"ratio": [{"mean": [{"max": cells[:2]}, cells[2]]}, {"min": cells[2:]}]}
    expected = (max(a, b) + c) / 2 / min(c, d) - 1 - margin
    if abs(expected) > 1e-6:
        assert truth(compare(share, ">", 1 + margin), scores) is (expected > 0)


def test_a_ratio_by_zero_is_not_evaluable():
    scores = by_variant(a=0.5, b=0.0)
    assert truth(compare({"ratio": [A, B]}, ">", 1), scores) is None
    assert "zero" in reasons(formula(compare({"ratio": [A, B]}, ">", 1), scores))[0]


@pytest.mark.parametrize(
    ("own", "unit", "margin", "expected"),
    [
        *(("percent", "percent", 5, True), ("percent", "fraction", 0.05, True), ("fraction", "percent", 5, True)),
        *(("percent", "fraction", 0.2, False), ("fraction", "percent", 20, False), ("none", "none", 15, False)),
    ],
)
def test_scores_are_converted_to_the_statements_unit(own: str, unit: str, margin: float, expected: bool):
    factor = 1.0 if own == "fraction" else 100.0
    scores = table(
        [{"variant": name, "value": value * factor, "unit": own} for name, value in [("a", 0.5), ("b", 0.4)]]
    )
    assert truth(compare(A, ">=", B, margin, unit), scores) is expected


def series(shape: str, values: list[float], at: Any = None, tolerance: float = 0.0) -> bool | None:
    names = [f"v{index}" for index in range(len(values))]
    data: dict[str, Any] = {"series": {"vary": "variant", "over": names}, "shape": shape, "tolerance": tolerance}
    return truth({**data, **({"at": at} if at else {})}, by_variant(**dict(zip(names, values, strict=True))))


@pytest.mark.parametrize(
    ("shape", "values", "at", "tolerance", "expected"),
    [
        ("increasing", [0.1, 0.2, 0.3], None, 0, True),
        ("increasing", [0.1, 0.2, 0.2], None, 0, False),
        ("increasing", [0.1, 0.3, 0.25], None, 0.06, True),
        ("nondecreasing", [0.1, 0.2, 0.2], None, 0, True),
        ("nondecreasing", [0.1, 0.2, 0.1], None, 0, False),
        ("decreasing", [0.3, 0.2, 0.1], None, 0, True),
        ("decreasing", [0.3, 0.3, 0.1], None, 0, False),
        ("nonincreasing", [0.3, 0.3, 0.1], None, 0, True),
        ("nonincreasing", [0.3, 0.4, 0.1], None, 0, False),
        ("saturating", [0.1, 0.5, 0.52, 0.49], "v1", 0.03, True),
        ("saturating", [0.1, 0.5, 0.52, 0.48], "v1", 0.03, False),  # the range from v1 on is 0.04
        ("saturating", [0.5, 0.5, 0.52, 0.49], "v1", 0.03, False),  # not strictly rising
        ("peak", [0.1, 0.3, 0.3, 0.2], ["v1", "v2"], 0, True),
        ("peak", [0.1, 0.3, 0.2, 0.4], ["v1", "v2"], 0, False),
        ("peak", [0.1, 0.3, 0.2, 0.25], "v1", 0, False),
        ("peak", [0.1, 0.3, 0.2, 0.25], "v1", 0.06, True),
        ("argmax", [0.1, 0.3, 0.2], "v1", 0, True),
        ("argmax", [0.1, 0.3, 0.31], "v1", 0, False),
        ("argmax", [0.1, 0.3, 0.31], "v1", 0.02, True),
        ("argmax", [0.1, 0.3, 0.31], ["v0", "v2"], 0, True),
        ("argmin", [0.1, 0.3, 0.2], "v0", 0, True),
        ("argmin", [0.1, 0.3, 0.05], "v0", 0, False),
        ("lowest_group", [0.1, 0.3, 0.2, 0.4], ["v0", "v2"], 0, True),
        ("lowest_group", [0.1, 0.3, 0.3, 0.4], ["v0", "v2"], 0, False),
    ],
)
def test_shapes(shape: str, values: list[float], at: Any, tolerance: float, expected: bool):
    assert series(shape, values, at, tolerance) is expected


def test_labelled_points():
    points = [{"label": "one", "variant": "b"}, {"label": "two", "variant": "a"}]
    data = {"series": {"points": points}, "shape": "increasing"}
    assert truth(data, by_variant(a=0.5, b=0.3)) is True
    assert truth({"series": {"points": points[::-1]}, "shape": "increasing"}, by_variant(a=0.5, b=0.3)) is False
    assert [test.text for test in checks(formula(data, by_variant(a=0.5, b=0.3)))] == ["two - one"]


TRUE, FALSE, UNKNOWN = compare(A, ">", B), compare(B, ">", A), compare(A, ">", {"variant": "absent"})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"all": [TRUE, TRUE]}, True),
        ({"all": [TRUE, UNKNOWN]}, None),
        ({"all": [FALSE, UNKNOWN]}, False),
        ({"any": [FALSE, TRUE]}, True),
        ({"any": [TRUE, UNKNOWN]}, True),
        ({"any": [FALSE, UNKNOWN]}, None),
        ({"any": [FALSE, FALSE]}, False),
        ({"all": [{"any": [FALSE, TRUE]}, TRUE]}, True),
    ],
)
def test_logic_has_three_values(data: dict[str, Any], expected: bool | None):
    assert truth(data, by_variant(a=0.5, b=0.3)) is expected


@pytest.mark.parametrize(("require", "expected"), [(1, True), (2, True), (3, False), ("all", False)])
def test_at_least_k_of_a_for_each(require: Any, expected: bool):
    scores = table([{"task": task, "value": value} for task, value in [("t1", 0.5), ("t2", 0.7), ("t3", 0.2)]])
    data = {"for_each": {"task": ["t1", "t2", "t3"]}, "require": require, "holds": compare({}, ">", 0.4)}
    assert truth(data, scores) is expected


def test_inner_keys_win_over_inherited_ones():
    scores = table(
        [{"variant": v, "task": t, "value": x} for v, t, x in [("a", "t1", 0.9), ("a", "t2", 0.1), ("b", "t2", 0.5)]]
    )
    inner = {"where": {"task": "t2"}, **compare({"variant": "b"}, ">", {})}
    assert truth({"where": {"task": "t1", "variant": "a"}, "all": [inner]}, scores) is True
    each = {"for_each": {"task": ["t1"]}, "holds": {"where": {"variant": "a"}, **compare({"task": "t2"}, "<", 0.2)}}
    assert truth(each, scores) is True


def test_a_selector_names_the_default_variant_unless_it_says_another():
    scores = by_variant(default=0.5, other=0.9)
    assert truth(compare({}, "~", 0.5, 0.01), scores) is True


def test_a_selector_means_one_score():
    scores = table([{"encoder": name, "value": 0.5} for name in ("small", "large")])
    found = formula(compare({}, ">", 0.1), scores)
    assert isinstance(found, Unknown)
    assert "2 scores: small; large" in found.reason
    assert truth(compare({"encoder": "small"}, ">", 0.1), scores) is True


def test_a_missing_score_says_which_key_matches_nothing():
    found = formula(compare({"task": "t9"}, ">", 0.1), by_variant(default=0.5))
    assert isinstance(found, Unknown)
    assert "none has task=t9" in found.reason


def test_scores_of_other_papers_and_sources_are_not_seen():
    scores = table(
        [{"study": "other", "value": 0.9}, {"source": "published", "method": "theirs", "value": 0.7}, {"value": 0.8}]
    )
    assert truth(compare({}, ">", {"method": "theirs", "source": "published"}), scores) is True
    assert truth(compare({}, ">", {"method": "theirs"}), scores) is None
    assert truth(compare({}, "~", 0.8, 0.01), scores) is True


UNBALANCED = [("t1", "linear", 0.2), ("t1", "knn", 0.4), ("t2", "linear", 0.9)]


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("mean", 0.5), ("mean_over_tasks", 0.6), ("max", 0.9), ("min", 0.2)],
)
def test_aggregates(aggregate: str, expected: float):
    scores = table([{"task": task, "protocol": protocol, "value": value} for task, protocol, value in UNBALANCED])
    where = {"task": ["t1", "t2"], "protocol": ["linear", "knn"], "aggregate": aggregate}
    assert truth({"where": where, **compare({}, "~", expected, 1e-6)}, scores) is True
    assert truth({"where": where, **compare({}, "~", expected + 0.05, 1e-6)}, scores) is False


def test_an_aggregate_over_a_value_without_scores_is_not_evaluable():
    scores = table([{"task": "t1", "value": 0.5}])
    found = formula(compare({"task": ["t1", "t2"], "aggregate": "mean"}, ">", 0.1), scores)
    assert isinstance(found, Unknown)
    assert "task=t2" in found.reason


def test_entries_stay_apart_along_the_axis():
    scores = by_variant(a=[0.5, 0.7], b=[0.4, np.nan])
    (test,) = checks(formula(compare(A, ">", B), scores))
    np.testing.assert_allclose(test.values, [0.1, np.nan])
