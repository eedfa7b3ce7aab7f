from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmark.statistics.claims.bindings import Binding
from benchmark.statistics.claims.scores import ScoreTable
from benchmark.statistics.claims.verdicts import Evidence, judge
from tests.statistics.claims.toys import by_variant, claim, table

NOTHING_PRINTED = by_variant(unrelated=0.5)
NOISE = np.array([0.0, 0.01, -0.01, 0.005, -0.005, 0.002])
A, B, C = ({"variant": name} for name in "abc")
A_ABOVE_B = {"left": A, "relation": ">", "right": B}


def outcome(data: dict[str, Any], scores: ScoreTable, **options: Any) -> str:
    return judge(claim(data), Evidence(scores, NOTHING_PRINTED, **options)).outcome


def arms(seeds: int = 6, **means: float) -> ScoreTable:
    """Each arm with its own order of the same noise."""
    return by_variant(
        **{name: mean + np.roll(NOISE, shift)[:seeds] for shift, (name, mean) in enumerate(means.items())}
    )


@pytest.mark.parametrize(("a", "expected"), [(0.6, "supported"), (0.4, "contradicted"), (0.5, "inconclusive")])
@pytest.mark.parametrize("test", ["t", "exact"])
def test_an_ordering(a: float, expected: str, test: str):
    assert outcome(A_ABOVE_B, arms(a=a, b=0.5), test=test) == expected


def test_four_seeds_decide_nothing():
    verdict = judge(claim(A_ABOVE_B), Evidence(arms(4, a=0.9, b=0.1), NOTHING_PRINTED))
    assert verdict.outcome == "inconclusive"
    assert "4 paired seeds" in verdict.reason
    assert np.isnan(verdict.comparisons[0].p_holds)


def test_only_seeds_that_both_have_are_paired():
    a, b = np.full(8, 0.9) + 0.001 * np.arange(8), np.full(8, 0.1)
    a[:2], b[6:] = np.nan, np.nan
    verdict = judge(claim(A_ABOVE_B), Evidence(by_variant(a=a, b=b), NOTHING_PRINTED))
    assert (verdict.outcome, verdict.comparisons[0].seeds) == ("inconclusive", 4)


def test_pairing_removes_what_seeds_share():
    shared = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 0.4])
    scores = by_variant(a=shared + 0.02 + 0.1 * NOISE, b=shared)
    assert outcome(A_ABOVE_B, scores) == "supported"


def test_a_score_that_was_not_run():
    verdict = judge(claim(A_ABOVE_B), Evidence(arms(a=0.9), NOTHING_PRINTED, sources=arms(a=0.9)))
    assert verdict.outcome == "not run"
    assert "variant=b" in verdict.reason


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ({"a": 0.9, "b": 0.5, "c": 0.5}, "supported"),
        ({"a": 0.5, "b": 0.5, "c": 0.5}, "inconclusive"),
        ({"a": 0.5, "b": 0.9, "c": 0.1}, "contradicted"),  # one named competitor is better
        ({"a": 0.5, "b": 0.5, "c": 0.1}, "inconclusive"),
    ],
)
def test_an_argmax_is_contradicted_by_a_named_competitor_only(means: dict[str, float], expected: str):
    data = {"series": {"vary": "variant", "over": ["a", "b", "c"]}, "shape": "argmax", "at": "a"}
    assert outcome(data, arms(**means)) == expected


@pytest.mark.parametrize(
    ("means", "expected"),
    [((0.1, 0.5, 0.9), "supported"), ((0.1, 0.9, 0.5), "contradicted"), ((0.1, 0.5, 0.5), "inconclusive")],
)
def test_a_trend_is_contradicted_by_a_step_only(means: tuple[float, ...], expected: str):
    data = {"series": {"vary": "variant", "over": ["a", "b", "c"]}, "shape": "increasing"}
    assert outcome(data, arms(**dict(zip("abc", means, strict=True)))) == expected


@pytest.mark.parametrize(
    ("a", "margin", "expected"), [(0.5, 0.1, "supported"), (0.7, 0.1, "contradicted"), (0.5, 0.005, "inconclusive")]
)
def test_equality_has_a_band(a: float, margin: float, expected: str):
    assert outcome({"left": A, "relation": "~", "right": B, "margin": margin}, arms(a=a, b=0.5)) == expected


def test_an_absolute_difference_of_noise_is_not_biased_upwards():
    """|mean over seeds|, not mean over seeds of |difference|, which noise alone keeps above zero."""
    noisy = np.array([0.3, -0.3, 0.28, -0.28, 0.3, -0.3, 0.29, -0.29])
    data = {"left": {"abs": {"diff": [A, B]}}, "relation": ">=", "right": 0.05}
    assert np.abs(noisy).mean() > 0.05
    assert outcome(data, by_variant(a=0.5 + noisy, b=np.full(8, 0.5))) == "inconclusive"
    assert outcome(data, by_variant(a=0.5 + 0.01 * noisy, b=np.full(8, 0.5))) == "contradicted"


def test_the_best_of_several_noisy_arms_is_not_biased_upwards():
    """Each seed's best of b and c is well above a, though neither is."""
    wobble = 0.2 * np.array([1, -1, 1, -1, 1, -1])
    scores = by_variant(a=0.5 + 0.1 * NOISE, b=0.5 + wobble, c=0.5 - wobble)
    data = {"left": A, "relation": ">", "right": {"max": [B, C]}}
    assert outcome(data, scores) == "inconclusive"


TRUE, FALSE, ABSENT = A_ABOVE_B, {"left": B, "relation": ">", "right": A}, {"left": A, "relation": ">", "right": C}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"all": [TRUE, TRUE]}, "supported"),
        ({"all": [TRUE, FALSE]}, "contradicted"),
        ({"any": [TRUE, FALSE]}, "supported"),
        ({"any": [FALSE, FALSE]}, "contradicted"),
        ({"all": [FALSE, ABSENT]}, "contradicted"),
        ({"all": [TRUE, ABSENT]}, "not run"),
        ({"any": [TRUE, ABSENT]}, "supported"),
        ({"any": [FALSE, ABSENT]}, "not run"),
    ],
)
def test_composites_follow_their_logic(data: dict[str, Any], expected: str):
    assert outcome(data, arms(a=0.9, b=0.5)) == expected


def test_holm_is_over_all_comparisons_of_a_claim():
    tasks = [f"t{index}" for index in range(20)]
    close = 0.5 + np.array([0.012, 0.02, 0.001, 0.011, 0.013, 0.009])
    values = {"a": close, "b": np.full(6, 0.5)}
    scores = table([{"task": task, "variant": arm, "value": values[arm]} for task in tasks for arm in values])
    each = {"for_each": {"task": tasks}, "require": "all", "holds": TRUE}
    assert outcome({"where": {"task": "t0"}, **TRUE}, scores) == "supported"
    assert outcome(each, scores) == "inconclusive"


def test_a_printed_number_of_another_system_is_read_from_the_paper():
    printed = table([{"source": "published", "method": "theirs", "value": 70.0, "unit": "percent"}])
    data = {"left": {}, "relation": ">", "right": {"method": "theirs", "source": "published"}, "unit": "percent"}
    ours = table([{"method": "ours", "value": 0.8 + NOISE}])
    verdict = judge(claim(data), Evidence(ours, printed))
    assert verdict.outcome == "supported"
    assert verdict.comparisons[0].estimate == pytest.approx(10.0, abs=0.1)


def test_sources_of_a_single_split_must_agree():
    """Seeds agree with each other on the few recordings they share, resampled recordings do not."""
    seeds = arms(a=0.55, b=0.5)
    stream = np.random.default_rng(0)
    unsure = by_variant(a=0.55 + stream.normal(0, 0.2, 500), b=np.full(500, 0.5))
    sure = by_variant(a=0.55 + stream.normal(0, 0.005, 500), b=np.full(500, 0.5))
    assert outcome(A_ABOVE_B, seeds) == "supported"
    assert outcome(A_ABOVE_B, seeds, sources=unsure) == "inconclusive"
    assert outcome(A_ABOVE_B, seeds, sources=sure) == "supported"
    assert outcome(A_ABOVE_B, seeds, sources=by_variant(a=np.full(500, 0.5))) == "supported"  # no predictions of b


def test_an_average_must_cover_what_the_paper_averages():
    cells = [("t1", "linear"), ("t1", "knn"), ("t2", "linear"), ("t2", "knn")]
    printed = table([{"task": task, "protocol": protocol, "value": 0.5} for task, protocol in cells])
    ours = [{"task": task, "protocol": protocol, "value": 0.8 + NOISE} for task, protocol in cells]
    where = {"task": ["t1", "t2"], "protocol": ["linear", "knn"], "aggregate": "mean"}
    data = {"where": where, "left": {}, "relation": ">", "right": 0.6}
    assert judge(claim(data), Evidence(table(ours), printed)).outcome == "supported"
    lacking = judge(claim(data), Evidence(table(ours[:3]), printed))
    assert (lacking.outcome, "3 of the 4" in lacking.reason) == ("not run", True)


def test_a_binding_reads_other_scores():
    data = {"where": {"task": "noisy"}, **A_ABOVE_B}
    scores = table(
        [{"study": "mine", "task": "t9", "variant": v, "value": m + NOISE} for v, m in [("a", 0.9), ("b", 0.5)]]
    )
    binding = Binding(because="another labelled set", study="mine", replace={"task": {"noisy": "t9"}})
    evidence = Evidence(scores, NOTHING_PRINTED)
    assert judge(claim(data), evidence).outcome == "not run"
    verdict = judge(claim(data), evidence, binding)
    assert verdict.outcome == "supported"
