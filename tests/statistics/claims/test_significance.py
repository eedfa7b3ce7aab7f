from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.claims.significance import adjusted, decided, resampled, sides
from benchmark.statistics.decisions import SIDE_LEVEL


def differences(seeds: int, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seeds).normal(mean, 1, seeds)


def test_a_band_is_two_one_sided_tests():
    values = differences(9) * 0.1
    holds, fails = sides(values, 0.2, True, "t")
    lower = stats.ttest_1samp(values, -0.2, alternative="greater").pvalue
    upper = stats.ttest_1samp(values, 0.2, alternative="less").pvalue
    assert float(holds) == pytest.approx(max(lower, upper))
    assert float(fails) == pytest.approx(min(1.0, 2 * min(1 - lower, 1 - upper)))
    outside = sides(values + 1, 0.2, True, "t")
    assert outside[1] < 0.001 < outside[0]


def test_resamples_count_themselves():
    replicates = np.linspace(0.01, 1.0, 99)
    assert resampled(replicates, 0.0, False) == pytest.approx((0.01, 1.0))
    assert resampled(replicates, 0.5, False) == pytest.approx((0.51, 0.51), abs=0.011)
    assert resampled(replicates, 2.0, True)[0] == pytest.approx(0.01)
    assert resampled(replicates - 2, 0.5, True)[1] == pytest.approx(0.02)


def test_holm_corrects_each_side_and_leaves_what_was_not_tested():
    p_values = np.array([[0.01, 0.9], [np.nan, np.nan], [0.015, 0.001]])
    np.testing.assert_allclose(adjusted(p_values), [[0.02, 0.9], [np.nan, np.nan], [0.02, 0.002]])


def test_a_state_needs_the_level():
    p_values = np.array([[SIDE_LEVEL, 1], [1, SIDE_LEVEL], [SIDE_LEVEL * 1.01, 0.5], [np.nan, np.nan]])
    assert decided(p_values).tolist() == [1, -1, 0, 0]
