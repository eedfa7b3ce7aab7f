from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.statistics.paired import (
    clustered_standard_error,
    holm,
    minimum_detectable_difference,
    sign_flip_p,
)


def stream(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_exact_test_agrees_with_scipy():
    differences = stream(1).normal(0.3, 1, 9)
    theirs = stats.permutation_test(
        (differences, np.zeros(9)),
        lambda x, y, axis: np.sum(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
    )
    assert sign_flip_p(differences, 10, stream()) == pytest.approx(theirs.pvalue)


def test_six_speakers_that_all_agree_have_the_smallest_possible_p():
    assert sign_flip_p(np.full(6, 0.1), 10, stream()) == 2 / 2**6


def test_many_groups_agree_with_the_t_test():
    differences = stream(2).normal(0.15, 1, 150)
    theirs = stats.ttest_1samp(differences, 0).pvalue
    assert sign_flip_p(differences, 20_000, stream()) == pytest.approx(theirs, abs=0.01)


def test_exact_and_random_flips_agree_across_the_limit():
    differences = stream(3).normal(0.4, 1, 14)
    exact = sign_flip_p(differences, 10, stream())
    random = sign_flip_p(np.append(differences, 0.0), 50_000, stream())  # a 15th group that adds nothing
    assert random == pytest.approx(exact, abs=0.01)


def test_no_difference_is_never_significant():
    assert sign_flip_p(np.zeros(5), 10, stream()) == 1.0
    assert sign_flip_p(np.zeros(40), 100, stream()) == 1.0


@pytest.mark.parametrize("groups", [8, 40])
def test_at_most_five_percent_are_significant_where_nothing_differs(groups: int):
    """Sources of very different sizes, clips of a source alike, no true difference."""
    generator, trials = stream(4), 400
    sizes = generator.integers(1, 20, groups)
    p_values = [sign_flip_p(sizes * generator.choice([-1.0, 0.0, 1.0], groups), 199, generator) for _ in range(trials)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / trials)


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([])).shape == (0,)
    families = np.array([[[0.01, 0.04, 0.03, 0.005], [0.5, 0.5, 0.01, 0.2]]])
    np.testing.assert_allclose(holm(families), [[[0.03, 0.06, 0.06, 0.02], [1, 1, 0.04, 0.6]]])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_raw_p_and_bonferroni(values: list[float]):
    p = np.array(values)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(p * len(p), 1.0) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_standard_error_is_the_closed_form_with_equal_groups():
    differences = stream(5).normal(size=30) / 30
    expected = (differences * 30).std(ddof=1) / np.sqrt(30)
    assert clustered_standard_error(differences, np.full(30, 1 / 30)) == pytest.approx(expected)


def test_standard_error_of_unequal_groups_by_simulation():
    generator = stream(6)
    samples = []
    for _ in range(3000):
        mass = generator.integers(1, 10, 50).astype(float)
        samples.append((mass * generator.normal(0.2, 1, 50), mass))
    estimates = [d.sum() / m.sum() for d, m in samples]
    errors = [clustered_standard_error(d, m) for d, m in samples]
    assert np.mean(errors) == pytest.approx(np.std(estimates), rel=0.05)


def test_minimum_detectable_difference_has_the_stated_power():
    groups, error = 12, 0.02
    difference = minimum_detectable_difference(error, groups)
    samples = stream(7).normal(difference, error * np.sqrt(groups), (4000, groups))
    power = (stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05).mean()
    assert power == pytest.approx(0.8, abs=0.03)
    assert minimum_detectable_difference(1.0, 10_000) == pytest.approx(2.80, abs=0.01)


def test_one_group_says_nothing():
    assert np.isnan(clustered_standard_error(np.ones(1), np.ones(1)))
    assert np.isnan(minimum_detectable_difference(0.1, 1))
