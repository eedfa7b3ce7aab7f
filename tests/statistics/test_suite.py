from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.suite import (
    interquartile_mean,
    interquartile_mean_replicates,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    resampled_scores,
)


def stream(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def scores() -> np.ndarray:
    return stream(1).normal(0.6, 0.3, (3, 4, 7))


def test_interquartile_mean_is_scipys_trimmed_mean(scores: np.ndarray):
    expected = [stats.trim_mean(method, 0.25, axis=None) for method in scores]
    np.testing.assert_allclose(interquartile_mean(scores), expected)
    assert interquartile_mean(np.array([[1.0, 2, 3, 100]])) == 2.5


def test_optimality_gap_by_hand():
    assert optimality_gap(np.array([[0.5, 1.5]])) == pytest.approx(0.25)  # 1.5 does not make up for 0.5
    assert optimality_gap(np.array([[0.5, 1.5]]), target=2.0) == pytest.approx(1.0)


def test_performance_profile_falls_from_one_to_zero(scores: np.ndarray):
    thresholds = np.linspace(-1, 2, 31)
    profile = performance_profile(scores, thresholds)
    assert profile.shape == (3, 31)
    assert (np.diff(profile, axis=-1) <= 0).all()
    np.testing.assert_allclose(profile[0], 1 - stats.ecdf(scores[0].ravel()).cdf.evaluate(thresholds))


def test_probability_of_improvement_is_the_mann_whitney_statistic():
    left, right = stream(2).integers(0, 4, (5, 6)).astype(float), stream(3).integers(0, 4, (3, 6)).astype(float)
    by_task = [stats.mannwhitneyu(x, y).statistic / 15 for x, y in zip(left.T, right.T, strict=True)]
    assert probability_of_improvement(left, right) == pytest.approx(np.mean(by_task))
    assert probability_of_improvement(left, left) == 0.5
    assert probability_of_improvement(right, left) == pytest.approx(1 - np.mean(by_task))


def test_all_statistics_agree_with_rliable(scores: np.ndarray):
    metrics = pytest.importorskip("rliable.metrics")
    left, right = scores[:2]
    assert interquartile_mean(left) == pytest.approx(metrics.aggregate_iqm(left))
    assert optimality_gap(left) == pytest.approx(metrics.aggregate_optimality_gap(left))
    assert probability_of_improvement(left, right) == pytest.approx(metrics.probability_of_improvement(left, right))


def test_statistics_work_on_resamples(scores: np.ndarray):
    draws = resampled_scores(scores[0], 20, stream())
    assert draws.shape == (20, 4, 7)
    for statistic in (interquartile_mean, optimality_gap):
        np.testing.assert_allclose(statistic(draws), [statistic(draw) for draw in draws])
    np.testing.assert_allclose(
        probability_of_improvement(draws, scores[1])[3], probability_of_improvement(draws[3], scores[1])
    )


def test_runs_are_drawn_on_each_task_on_their_own():
    scores = np.arange(12.0).reshape(4, 3)
    draws = resampled_scores(scores, 4000, stream())
    assert all(set(np.unique(draws[:, :, task])) == set(scores[:, task]) for task in range(3))
    runs = draws.astype(int) // 3
    assert abs(np.corrcoef(runs[:, 0, 0], runs[:, 0, 1])[0, 1]) < 0.05
    np.testing.assert_allclose(draws.mean(axis=(1, 2)).var(), scores[:, 0].var() / 4 / 3, rtol=0.1)


def test_whole_runs_stay_together():
    """A seed that is good everywhere: three times the variance of seeds drawn on each of three tasks."""
    scores = np.arange(12.0).reshape(4, 3)
    draws = resampled_scores(scores, 4000, stream(), whole_runs=True)
    assert (np.diff(draws, axis=2) == 1).all()
    np.testing.assert_allclose(draws.mean(axis=(1, 2)).var(), scores[:, 0].var() / 4, rtol=0.1)


def test_tasks_are_drawn_too():
    draws = resampled_scores(np.tile([0.0, 1.0, 2.0], (4, 1)), 4000, stream(), tasks=True)
    assert (np.ptp(draws, axis=1) == 0).all()
    np.testing.assert_allclose(draws.mean(axis=(1, 2)).var(), (2 / 3) / 3, rtol=0.1)


@pytest.mark.parametrize("shape", [(4, 22), (3, 5), (1, 4), (20, 20)])
def test_fast_replicates_have_the_distribution_of_sorted_resamples(shape: tuple[int, int]):
    scores = stream(5).normal(size=shape)
    fast = interquartile_mean_replicates(scores, 4000, stream(6))
    slow = stats.trim_mean(resampled_scores(scores, 4000, stream(7)).reshape(4000, -1), 0.25, axis=1)
    if shape[0] == 1:
        np.testing.assert_allclose(fast, slow)
    else:
        assert stats.ks_2samp(fast, slow).pvalue > 0.001


def test_fast_replicates_are_exactly_the_interquartile_mean_of_their_draws(monkeypatch: pytest.MonkeyPatch):
    """Ties included: the counts are fixed, and expanded by hand."""
    scores = stream(8).integers(0, 5, (3, 4)).astype(float)
    counts = stream(9).multinomial(3, [1 / 3] * 3, (50, 4)).transpose(2, 1, 0).reshape(12, 50).astype(np.uint8)
    monkeypatch.setattr("benchmark.statistics.suite._run_counts", lambda *_: counts)
    expected = [stats.trim_mean(np.repeat(scores.ravel(), column), 0.25) for column in counts.T]
    np.testing.assert_allclose(interquartile_mean_replicates(scores, 50, stream()), expected)


def test_the_generator_is_really_used():
    scores = stream(10).normal(size=(4, 6))
    first, again, other = (interquartile_mean_replicates(scores, 600, stream(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_more_runs_than_a_byte_counts():
    with pytest.raises(ValueError, match="300 runs"):
        interquartile_mean_replicates(np.zeros((300, 2)), 10, stream())
