from __future__ import annotations

import numpy as np
import pytest

from benchmark.statistics.normalised import PAPER_RESAMPLES, NormalisedAccuracy, mean_over_tasks


def cell(
    run: float, untrained: float, supervised: float, spread: float = 0.01, resamples: int = 2000
) -> NormalisedAccuracy:
    generator = np.random.default_rng([int(1000 * value) for value in (run, untrained, supervised)])
    draws = generator.normal([run, untrained, supervised], spread, (resamples, 3))
    return NormalisedAccuracy(run, untrained, supervised, draws)


@pytest.mark.parametrize(("run", "value"), [(0.4, 0.0), (0.9, 1.0), (0.65, 0.5), (1.0, 1.2), (0.3, -0.2)])
def test_equation_one(run: float, value: float):
    assert cell(run, 0.4, 0.9).value == pytest.approx(value)


def test_both_references_are_resampled():
    """A run that never varies still has an uncertain normalised accuracy, by the delta method."""
    exact = cell(0.65, 0.4, 0.9)
    draws = exact.replicates.copy()
    draws[:, 0] = 0.65
    values = NormalisedAccuracy(0.65, 0.4, 0.9, draws).values
    assert values.std() == pytest.approx(0.01 * np.sqrt(0.5**2 + 0.5**2) / 0.5, rel=0.1)


def test_small_gap_is_undefined():
    assert cell(0.6, 0.60, 0.64, spread=1e-4).undefined == "the references are 4.0 points apart, less than 5"
    assert "less than 5" in cell(0.6, 0.7, 0.6).undefined


def test_uncertain_gap_is_undefined():
    assert "may be zero" in cell(0.6, 0.5, 0.6, spread=0.06).undefined
    assert cell(0.6, 0.5, 0.6, spread=0.01).undefined == ""


def test_a_resample_without_a_gap_does_not_divide_by_zero():
    draws = np.tile([0.6, 0.5, 0.9], (100, 1))
    draws[0] = [0.6, 0.5, 0.5]
    assert np.isfinite(NormalisedAccuracy(0.6, 0.5, 0.9, draws).values).all()


def test_mean_over_tasks():
    mean = mean_over_tasks([cell(0.7, 0.5, 0.9), cell(0.6, 0.5, 0.9)], 2000, np.random.default_rng(0))
    assert mean is not None
    assert mean.tasks == 2
    assert mean.mean == pytest.approx((0.5 + 0.25) / 2)
    assert mean_over_tasks([], 100, np.random.default_rng(0)) is None


def test_ratio_of_mean_gains_weighs_tasks_by_their_gap():
    mean = mean_over_tasks([cell(0.6, 0.5, 0.6), cell(0.1, 0.1, 0.9)], 500, np.random.default_rng(0))
    assert mean is not None
    assert mean.mean == pytest.approx(0.5)
    assert mean.ratio_of_mean_gains == pytest.approx(0.1 / 0.9)


def test_few_tasks_quote_the_interval_of_the_fixed_set():
    cells = [cell(0.5 + 0.05 * i, 0.4, 0.9) for i in range(8)]
    few, many = (mean_over_tasks(cells[:count], 2000, np.random.default_rng(0)) for count in (7, 8))
    assert few is not None
    assert many is not None
    assert (few.shown, few.quoted) == ("fixed tasks", few.fixed_tasks)
    assert (many.shown, many.quoted) == ("over tasks", many.over_tasks)
    assert np.diff(many.over_tasks) > 2 * np.diff(many.fixed_tasks)  # tasks differ far more than seeds and sources do
    assert few.coverage < many.coverage < 0.95


def test_the_papers_interval_has_fifty_resamples():
    assert PAPER_RESAMPLES == 50
    cells = [cell(0.5 + 0.05 * i, 0.4, 0.9) for i in range(8)]
    mean = mean_over_tasks(cells, 2000, np.random.default_rng(0))
    assert mean is not None
    assert mean.paper != mean.over_tasks
    assert mean.paper == pytest.approx(mean.over_tasks, abs=0.1)


def test_a_gap_of_five_points_is_enough_whatever_binary_makes_of_it():
    assert 0.95 - 0.9 < 0.05
    assert cell(0.92, 0.9, 0.95, spread=1e-4).undefined == ""
