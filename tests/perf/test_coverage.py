from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from perf.coverage import RESULTS, SIZES, Simulation, simulations, tables

ROOT = Path(__file__).parent.parent.parent


def test_the_documentation_shows_what_was_measured():
    rows = pd.read_csv(RESULTS, dtype=SIZES)
    assert tables(rows) in (ROOT / "docs" / "statistics.md").read_text()


def test_what_was_measured_is_what_is_simulated():
    rows = pd.read_csv(RESULTS, dtype=SIZES)
    sizes = {(s.tasks, s.seeds) for s in simulations()}
    found = {tuple(None if pd.isna(size) else int(size) for size in key) for key in rows[list(SIZES)].to_numpy()}
    assert found == sizes


@pytest.mark.parametrize("simulation", simulations()[::4])
def test_a_simulated_study_says_which_intervals_held(simulation: Simulation):
    outcome = simulation.trial(np.random.default_rng(0))
    recorded = pd.read_csv(RESULTS, dtype=SIZES)["interval"]
    assert set(outcome) <= set(recorded)
    assert all(0 <= share <= 1 for share in outcome.values())


def test_students_t_covers_normal_values_exactly():
    rows = pd.read_csv(RESULTS, dtype=SIZES)
    exact = rows[rows["interval"].isin(["mean, Student's t", "mean over seeds alone, Student's t"])]
    assert len(exact) == 6
    assert (abs(exact["coverage"] - 0.95) < 4 * np.sqrt(0.95 * 0.05 / exact["studies"])).all()
