from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.bootstrap import percentile_interval
from benchmark.statistics.intervals import bca_interval, leave_one_out, t_interval


def stream(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def variance(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Biased and skewed, so that both corrections matter."""
    return values.var(axis=axis)


def test_leave_one_out():
    np.testing.assert_array_equal(leave_one_out(np.array([1.0, 2.0, 3.0])), [[2, 3], [1, 3], [1, 2]])
    assert leave_one_out(np.zeros((4, 2))).shape == (4, 3, 2)


def test_bca_agrees_with_scipy():
    values = stream(1).exponential(size=25)
    theirs = stats.bootstrap((values,), variance, n_resamples=20_000, method="BCa", rng=stream(2))
    ours = bca_interval(theirs.bootstrap_distribution, values.var(), variance(leave_one_out(values)))
    np.testing.assert_allclose(ours, theirs.confidence_interval, rtol=1e-6)
    plain = percentile_interval(theirs.bootstrap_distribution)
    assert ours[1] > plain[1] * 1.05  # the corrections do something here


def test_bca_of_two_samples_agrees_with_scipy():
    left, right = stream(3).exponential(size=12), stream(4).normal(size=30)

    def ratio(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        return x.var(axis=axis) / y.var(axis=axis)

    theirs = stats.bootstrap((left, right), ratio, n_resamples=20_000, method="BCa", rng=stream(5))
    jackknife = [ratio(leave_one_out(left), right), ratio(left, leave_one_out(right))]
    ours = bca_interval(theirs.bootstrap_distribution, float(ratio(left, right)), jackknife)
    np.testing.assert_allclose(ours, theirs.confidence_interval, rtol=1e-6)


def test_bca_without_spread_or_with_foreign_replicates():
    assert bca_interval(np.full(10, 0.3), 0.3, np.full(4, 0.3)) == (0.3, 0.3)
    assert np.isnan(bca_interval(np.array([0.1, 0.2]), 0.9, np.array([0.1, 0.2]))).all()


def test_t_interval_agrees_with_scipy():
    values = stream(6).normal(size=(3, 7))
    lower, upper = t_interval(values)
    for row, low, high in zip(values, lower, upper, strict=True):
        assert stats.ttest_1samp(row, 0).confidence_interval(0.95) == pytest.approx((low, high))
    assert t_interval(np.array([0.5])) == (-np.inf, np.inf)
