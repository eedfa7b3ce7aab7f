from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.statistics.rows import read_rows, write_rows
from benchmark.statistics.tolerance import Movements, Tolerance, ToleranceRow, beyond_the_others, measure

TRAINED = {"simclr-0": True, "logmel-0": False}


def movements(**cells: float) -> Movements:
    rows = [
        {"name": f"{name}-0", "task": "esc10", "protocol": "linear", "moved": moved} for name, moved in cells.items()
    ]
    return "numerical", pd.DataFrame(rows)


def test_the_tolerance_is_twice_the_largest_movement_and_at_least_one_clip():
    found = measure([movements(simclr=3.0, logmel=0.0), movements(simclr=-4.0, logmel=0.0)], TRAINED)
    assert found.clips("numerical", "esc10", "linear", True) == 8.0
    assert found.clips("numerical", "esc10", "linear", False) == 1.0
    row = next(row for row in found.rows if row.trained)
    assert (row.perturbations, row.movements, row.largest) == (2, 2, 4.0)
    assert row.root_mean_square == pytest.approx(12.5**0.5)


def test_what_was_not_measured_takes_the_largest_of_its_protocol_then_of_all():
    rows = [
        ToleranceRow("numerical", task, protocol, True, 1, 1, largest, 0.0)
        for task, protocol, largest in [("esc10", "linear", 2.0), ("us8k", "linear", 3.0), ("esc10", "knn", 9.0)]
    ]
    found = Tolerance(tuple(rows))
    assert found.clips("numerical", "fsdd", "linear", True) == 6.0
    assert found.clips("numerical", "fsdd", "scratch", True) == 18.0
    assert found.clips("numerical", "esc10", "linear", False) == 4.0
    assert found.clips("seed", "esc10", "linear", True) == 0.0
    assert found.clips("exact", "esc10", "linear", True) == 0.0


def test_rows_survive_their_file(tmp_path):
    found = measure([movements(simclr=1 / 3, logmel=0.0)], TRAINED)
    write_rows(tmp_path / "tolerance.csv", ToleranceRow, found.rows)
    again = read_rows(tmp_path / "tolerance.csv", ToleranceRow)
    assert [row.largest for row in again] == [0.0, 0.333333]
    assert again[0] == found.rows[0]


def test_of_twenty_equally_noisy_runs_hardly_a_cell_lies_beyond_what_the_others_give():
    generator = np.random.default_rng(0)
    runs = [movements(simclr=generator.normal(0, 5), logmel=0.0) for _ in range(20)]
    assert sum(beyond_the_others(runs, TRAINED)) == 0
    outlier = [*runs, movements(simclr=60.0, logmel=0.0)]
    assert beyond_the_others(outlier, TRAINED)[-1] == 1
