from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.bootstrap import (
    expected_coverage,
    grouped_replicates,
    mean_replicates,
    nested_replicates,
    percentile_interval,
    resample_counts,
    task_replicates,
    unit_shares,
)


def stream(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_counts_are_draws_with_replacement():
    counts = resample_counts(5, 20_000, stream())
    assert counts.shape == (20_000, 5)
    assert (counts.sum(axis=1) == 5).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.03)
    np.testing.assert_allclose(counts.var(axis=0), 0.8, atol=0.03)  # multinomial: n p (1 - p)
    assert (resample_counts(5, 7, stream(), draws=4).sum(axis=1) == 4).all()


def test_the_generator_is_really_used():
    values = np.arange(10.0)
    first, again, other = (mean_replicates(values, 50, stream(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_mean_interval_agrees_with_scipy():
    values = stream(3).exponential(size=60)
    ours = percentile_interval(mean_replicates(values, 20_000, stream()))
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=stream(1)
    ).confidence_interval
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_grouped_accuracy_is_the_plain_bootstrap_where_every_clip_is_its_own_group():
    correct = (stream(4).random(80) < 0.7).astype(float)
    grouped = grouped_replicates(correct, np.ones(80), 5000, stream())
    np.testing.assert_allclose(grouped.std(), np.sqrt(correct.var() / 80), rtol=0.05)


def test_grouped_accuracy_knows_that_clips_of_a_source_are_alike():
    """Ten clips a source that agree with each other are worth one clip: the spread grows by the root of ten."""
    by_source = (stream(5).random(40) < 0.5).astype(float)
    hits, mass = by_source * 10, np.full(40, 10.0)
    grouped = grouped_replicates(hits, mass, 5000, stream())
    np.testing.assert_allclose(grouped.std(), np.sqrt(by_source.var() / 40), rtol=0.05)


def test_grouped_accuracy_is_a_ratio_of_sums():
    """One source with 90 clips and one with 10: a resample has one of three accuracies."""
    replicates = grouped_replicates(np.array([90.0, 0.0]), np.array([90.0, 10.0]), 500, stream())
    assert set(np.round(replicates, 12)) == {0.0, 0.9, 1.0}


def test_chunks_bound_memory_and_change_nothing():
    generator = stream(6)
    mass = generator.random(33)
    hits = mass * generator.random((2, 3, 33))
    whole, parts = (nested_replicates([hits], mass, 101, stream(), chunk_entries=size) for size in (10**9, 33 * 7))
    np.testing.assert_allclose(whole, parts, rtol=1e-12)
    grouped = [grouped_replicates(hits[0, 0], mass, 101, stream(), chunk_entries=size) for size in (10**9, 33 * 7)]
    np.testing.assert_allclose(*grouped, rtol=1e-12)


def test_nested_variance_of_seeds_is_unbiased_at_three_seeds():
    """All clips of a seed equal: only seeds vary, and the bootstrap variance is s squared over S."""
    by_seed = np.array([0.2, 0.5, 0.9])
    hits = np.repeat(by_seed[:, None, None] / 50, 50, axis=2)
    replicates = nested_replicates([hits], np.full(50, 1 / 50), 40_000, stream())[:, 0]
    np.testing.assert_allclose(replicates.var(), by_seed.var(ddof=1) / 3, rtol=0.03)
    np.testing.assert_allclose(replicates.mean(), by_seed.mean(), atol=0.005)


def test_nested_variance_adds_seeds_and_sources():
    generator = stream(7)
    hits = (generator.normal(0.5, 0.1, (4, 1, 1)) + generator.normal(0, 0.3, (1, 1, 60))) / 60
    replicates = nested_replicates([hits], np.full(60, 1 / 60), 40_000, stream())[:, 0]
    seeds = (hits.sum(axis=2)[:, 0]).var(ddof=1) / 4
    sources = (hits.mean(axis=(0, 1)) * 60).var(ddof=1) / 60
    np.testing.assert_allclose(replicates.var(), seeds + sources, rtol=0.05)


def test_runs_share_the_resampled_sources():
    generator = stream(8)
    hits = generator.random((1, 1, 40)) / 40
    both = nested_replicates([hits, hits], np.full(40, 1 / 40), 300, stream())
    np.testing.assert_array_equal(both[:, 0], both[:, 1])


def test_a_seed_that_is_good_on_every_task_is_drawn_on_all_of_them_at_once():
    """Only seeds vary, alike on four tasks: the mean over tasks varies as one task does, not half as much."""
    by_seed = np.array([0.2, 0.5, 0.9])
    hits = np.repeat(by_seed[:, None, None] / 20, 20, axis=2)
    shares, mass = [unit_shares(3, 20_000, stream())], np.full(20, 1 / 20)
    tasks = [nested_replicates([hits], mass, 20_000, stream(task), seed_shares=shares) for task in range(4)]
    np.testing.assert_allclose(np.mean(tasks, axis=0).var(), by_seed.var(ddof=1) / 3, rtol=0.03)


def test_single_units_do_not_vary():
    assert np.ptp(nested_replicates([np.full((1, 1, 1), 0.4)], np.ones(1), 20, stream())) == 0


def test_nested_interval_covers_what_it_says():
    """Accuracy 0.6, seeds and sources both vary: a nominal 95 % covers at least 88 % with four seeds."""
    generator, covered, trials = stream(9), 0, 150
    for _ in range(trials):
        chances = 0.6 + generator.normal(0, 0.03, (4, 1, 1)) + generator.normal(0, 0.15, (1, 1, 60))
        hits = generator.binomial(4, np.clip(chances, 0, 1)) / 4 / 60
        lower, upper = percentile_interval(nested_replicates([hits], np.full(60, 1 / 60), 300, generator)[:, 0])
        covered += lower <= 0.6 <= upper
    assert 0.88 <= covered / trials <= 0.995


def test_task_replicates_resample_tasks():
    values = np.array([0.1, 0.4, 0.9, 0.2])
    replicates = task_replicates(values, 20_000, stream())
    np.testing.assert_allclose(replicates.std(), values.std() / 2, rtol=0.03)


def test_task_replicates_carry_what_varies_inside_a_task():
    inside = stream(10).normal(0.5, 0.1, (4000, 1))
    np.testing.assert_allclose(task_replicates(inside, 4000, stream()), inside[:, 0])


@pytest.mark.parametrize(("tasks", "measured"), [(4, 0.80), (8, 0.89), (22, 0.93)])
def test_expected_coverage_is_the_measured_one(tasks: int, measured: float):
    assert expected_coverage(tasks) == pytest.approx(measured, abs=0.015)


def test_expected_coverage_by_simulation():
    samples = stream(11).normal(size=(2000, 5))
    counts = resample_counts(5, 400, stream(12))
    lower, upper = np.quantile(samples @ counts.T / 5, [0.025, 0.975], axis=1)
    assert expected_coverage(5) == pytest.approx(((lower <= 0) & (upper >= 0)).mean(), abs=0.04)
    assert expected_coverage(1) == 0.0
