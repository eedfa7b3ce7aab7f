from __future__ import annotations

import numpy as np
from scipy import stats

from benchmark.statistics.ranks import rank_intervals, rank_probabilities, rank_replicates


def test_the_best_has_rank_one_and_ties_share():
    np.testing.assert_array_equal(
        rank_replicates(np.array([[0.2, 0.9, 0.5], [0.5, 0.5, 0.1]])), [[3, 1, 2], [1.5, 1.5, 3]]
    )


def test_methods_far_apart_have_one_rank_and_equal_ones_share():
    generator = np.random.default_rng(0)
    replicates = generator.normal([0.9, 0.5, 0.5, 0.1], 0.01, (2000, 4))
    np.testing.assert_array_equal(rank_intervals(replicates), [[1, 1], [2, 3], [2, 3], [4, 4]])


def test_probability_of_the_first_rank_in_closed_form():
    generator = np.random.default_rng(1)
    replicates = generator.normal([0.1, 0.0], 1.0, (20_000, 2))
    table = rank_probabilities(replicates)
    np.testing.assert_allclose(table[0, 0], stats.norm.cdf(0.1 / np.sqrt(2)), atol=0.01)
    np.testing.assert_allclose(table.sum(axis=0), 1)
    np.testing.assert_allclose(table.sum(axis=1), 1)


def test_ties_share_ranks_evenly():
    np.testing.assert_allclose(
        rank_probabilities(np.array([[0.5, 0.5, 0.1]])), [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]
    )
