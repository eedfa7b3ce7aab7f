from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.decisions import (
    MINIMUM_SEEDS,
    MOST_EXACT,
    SIDE_LEVEL,
    SeedTest,
    equivalence,
    paired_decision,
)
from benchmark.statistics.paired import holm, sign_flip_p

TRIALS = 1500


def stream(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("margin", [0.0, 0.4, -0.2])
def test_t_agrees_with_scipy(margin: float):
    left, right = stream(1).normal(0.3, 1, (2, 8))
    decision = paired_decision(left - right, margin)
    for side, alternative in ((decision.p_greater, "greater"), (decision.p_less, "less")):
        assert side == pytest.approx(stats.ttest_rel(left, right + margin, alternative=alternative).pvalue)
    assert decision.p_two_sided == pytest.approx(stats.ttest_rel(left, right + margin).pvalue)


def test_exact_agrees_with_scipy():
    left, right = stream(2).normal(0.3, 1, (2, 7))

    def difference(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return np.sum(x - y, axis=axis)

    decision = paired_decision(left - right, test="exact")
    for side, alternative in ((decision.p_greater, "greater"), (decision.p_less, "less")):
        theirs = stats.permutation_test(
            (left, right), difference, permutation_type="samples", vectorized=True, alternative=alternative
        )
        assert side == pytest.approx(theirs.pvalue)
    assert decision.p_two_sided == pytest.approx(sign_flip_p(left - right, 1, stream()))


def test_exact_has_a_smallest_p_and_gives_way_to_t_beyond_its_limit():
    assert paired_decision(np.full(5, 0.1), test="exact").p_greater == 2**-5
    many = stream(3).normal(0.3, 1, MOST_EXACT + 1)
    assert paired_decision(many, test="exact").p_greater == paired_decision(many).p_greater


def test_leading_dimensions_are_comparisons():
    differences = stream(4).normal(size=(2, 3, 6))
    for test in ("t", "exact"):
        together = paired_decision(differences, 0.1, test=test)
        alone = paired_decision(differences[1, 2], 0.1, test=test)
        assert together.p_greater.shape == (2, 3)
        assert together.p_greater[1, 2] == pytest.approx(float(alone.p_greater))


@pytest.mark.parametrize(("value", "greater", "less"), [(0.3, 0.0, 1.0), (0.1, 1.0, 1.0), (-0.2, 1.0, 0.0)])
def test_differences_without_noise(value: float, greater: float, less: float):
    decision = paired_decision(np.full(5, value), 0.1)
    assert (decision.p_greater, decision.p_less) == (greater, less)


def test_equivalence_agrees_with_two_one_sided_tests():
    differences, band = stream(5).normal(0.05, 0.1, 9), 0.12
    lower = stats.ttest_1samp(differences, -band, alternative="greater").pvalue
    upper = stats.ttest_1samp(differences, band, alternative="less").pvalue
    assert equivalence(differences, band).p_inside == pytest.approx(max(lower, upper))
    assert equivalence(differences + 5, band).p_outside < 1e-6
    assert equivalence(differences + 5, band).p_inside > 0.999


def test_equivalence_at_the_edge_of_its_band_is_found_no_more_often_than_its_level():
    differences = stream(6).normal(0.1, 0.03, (4000, 8))
    assert (equivalence(differences, 0.1).p_inside <= 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def decided(holds: np.ndarray, fails: np.ndarray) -> bool:
    """All comparisons ``(m,)`` hold, or at least one fails, each family corrected: a verdict other than inconclusive."""
    return bool((holm(holds) <= SIDE_LEVEL).all() or (holm(fails) <= SIDE_LEVEL).any())


def ordering(scores: np.ndarray) -> np.ndarray:
    """The first setting above the second: ``(S, 7) -> (1, S)``."""
    return (scores[:, 0] - scores[:, 1])[None]


def best_of_seven(scores: np.ndarray) -> np.ndarray:
    """The first setting above each of the others: ``(S, 7) -> (6, S)``."""
    return (scores[:, :1] - scores[:, 1:]).T


def trend(scores: np.ndarray) -> np.ndarray:
    """Each setting above the one before: ``(S, 7) -> (6, S)``."""
    return np.diff(scores, axis=1).T


def normal(generator: np.random.Generator, seeds: int) -> np.ndarray:
    return generator.normal(0.7, 0.02, (seeds, 7))


def skewed(generator: np.random.Generator, seeds: int) -> np.ndarray:
    """Now and then a seed fails."""
    return 0.7 - generator.exponential(0.02, (seeds, 7))


def counted(generator: np.random.Generator, seeds: int) -> np.ndarray:
    """Accuracies of 100 test clips, of seeds that differ."""
    return generator.binomial(100, np.clip(generator.normal(0.7, 0.03, (seeds, 1)), 0, 1), (seeds, 7)) / 100


@pytest.mark.parametrize("test", ["t", "exact"])
@pytest.mark.parametrize("noise", [normal, skewed, counted])
@pytest.mark.parametrize("statement", [ordering, best_of_seven, trend])
def test_under_no_difference_at_most_five_percent_of_verdicts_are_decided(
    statement: Callable[[np.ndarray], np.ndarray],
    noise: Callable[[np.random.Generator, int], np.ndarray],
    test: SeedTest,
):
    for seeds in (MINIMUM_SEEDS, 7, 10):  # three and four seeds decide nothing
        generator = stream(seeds)
        differences = np.stack([statement(noise(generator, seeds)) for _ in range(TRIALS)])
        decision = paired_decision(differences, test=test)
        share = np.mean([decided(*sides) for sides in zip(decision.p_greater, decision.p_less, strict=True)])
        assert share <= 0.05, (seeds, share)


def test_a_difference_of_three_deviations_is_found():
    scores = stream(7).normal([0.76, *[0.7] * 6], 0.02, (400, 8, 7))
    decision = paired_decision(np.stack([best_of_seven(trial) for trial in scores]))
    supported = [(holm(p) <= SIDE_LEVEL).all() for p in decision.p_greater]
    assert np.mean(supported) > 0.8
