"""Under no true difference at most 5 % of verdicts are decided; the full table is printed by ``python -m perf.verdicts``."""

from __future__ import annotations

import pytest
from scipy import stats

from benchmark.seeding import numpy_stream
from benchmark.statistics.claims.simulation import NULLS, Null, null_rates
from benchmark.statistics.decisions import SIDE_LEVEL

DRAWS = 4_000


def upper_bound(rate: float) -> float:
    """99 % Clopper-Pearson upper bound of the true share."""
    return float(stats.beta.ppf(0.99, rate * DRAWS + 1, DRAWS - rate * DRAWS))


@pytest.mark.parametrize("seeds", [3, 5, 6, 10])
@pytest.mark.parametrize("kind", [kind for kind in NULLS if kind != "above a printed number"])
def test_at_most_five_percent_of_verdicts_are_decided(kind: str, seeds: int):
    for noise in ("normal", "skewed"):
        rates = null_rates(NULLS[kind], seeds, DRAWS, numpy_stream(0, "test", kind, seeds), noise)
        assert upper_bound(rates.decided) <= 0.055
        assert rates.decided == 0 or seeds >= 5


def test_an_ordering_is_decided_at_the_stated_level():
    """Neither more nor, which would be a rule that decides nothing, much less."""
    rates = null_rates(NULLS["ordering"], 6, 20_000, numpy_stream(0, "level"))
    assert rates.supported == pytest.approx(SIDE_LEVEL, abs=0.004)
    assert rates.contradicted == pytest.approx(SIDE_LEVEL, abs=0.004)


def test_permutation_decides_no_more():
    rates = null_rates(NULLS["ordering"], 7, DRAWS, numpy_stream(0, "permutation"), test="exact")
    assert rates.decided > 0
    assert upper_bound(rates.decided) <= 0.05


def test_an_argmax_without_correction_would_fail_the_bound(monkeypatch: pytest.MonkeyPatch):
    """The simulation can fail: six comparisons, each at its own level, contradict about every tenth argmax."""
    monkeypatch.setattr("benchmark.statistics.claims.simulation.holm", lambda p_values: p_values)
    rates = null_rates(NULLS["best of 7"], 6, DRAWS, numpy_stream(0, "naive"))
    assert rates.contradicted > 0.06


def test_a_true_difference_is_found():
    shifted = Null(NULLS["ordering"].statement, (5.0, 0, 0, 0, 0, 0, 0))
    assert null_rates(shifted, 6, 1_000, numpy_stream(0, "power")).supported > 0.95
    lower = Null(NULLS["best of 7"].statement, (-8.0, 0, 0, 0, 0, 0, 0))
    assert null_rates(lower, 6, 1_000, numpy_stream(0, "power")).contradicted > 0.95
