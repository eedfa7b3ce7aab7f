from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.statistics.rows import read_rows, write_rows
from benchmark.statistics.tolerance import Movements, Tolerance, ToleranceRow, beyond_the_others, measure

TRAINED = {"simclr-0": True, "resnet18-0": True, "logmel-0": False}


def movements(**cells: float) -> Movements:
    rows = [
        {"name": f"{name}-0", "task": "esc10", "protocol": "linear", "metric": "accuracy", "clips": 400, "moved": moved}
        for name, moved in cells.items()
    ]
    return "numerical", pd.DataFrame(rows)


def row(task: str, protocol: str, clips: int, largest: float, spread: float, name: str = "simclr-0") -> ToleranceRow:
    return ToleranceRow("numerical", name, task, protocol, "accuracy", TRAINED[name], 6, 12, clips, largest, spread)


def limit(
    tolerance: Tolerance,
    task: str,
    protocol: str,
    clips: int,
    name: str = "simclr-0",
    *,
    kind: str = "numerical",
    metric: str = "accuracy",
) -> float:
    return tolerance.limit(kind, name, task, protocol, metric, TRAINED[name], clips)


def test_the_tolerance_is_twice_the_largest_movement_or_the_spread_and_at_least_one_clip():
    few = measure([movements(simclr=1.0, logmel=0.0), movements(simclr=-4.0, logmel=0.0)], TRAINED)
    trained = next(row for row in few.rows if row.trained)
    assert (trained.perturbations, trained.movements, trained.clips, trained.largest) == (2, 2, 400, 4.0)
    assert trained.root_mean_square == pytest.approx(8.5**0.5)
    assert limit(few, "esc10", "linear", 400) == pytest.approx(4 * 8.5**0.5)
    assert limit(few, "esc10", "linear", 400, "logmel-0") == 1.0
    rare = measure([movements(simclr=4.0), *[movements(simclr=0.0)] * 99], TRAINED)
    assert limit(rare, "esc10", "linear", 400) == 8.0


def test_the_spread_is_that_of_the_runs_protocol_and_grows_as_the_root_of_the_clips():
    others = (row("esc10", "knn", 100, 99.0, 99.0), row("esc10", "linear", 100, 99.0, 99.0, "resnet18-0"))
    found = Tolerance((row("esc10", "linear", 100, 2.0, 1.0), row("us8k", "linear", 400, 2.0, 4.0), *others))
    per_clip = ((1 / 100 + 16 / 400) / 2) ** 0.5
    assert limit(found, "esc10", "linear", 100) == pytest.approx(4 * per_clip * 10)
    assert limit(found, "fsdd", "linear", 900) == pytest.approx(4 * per_clip * 30)


def test_what_was_not_measured_takes_the_spread_of_what_was():
    found = Tolerance((row("esc10", "linear", 100, 1.0, 1.0), row("esc10", "knn", 100, 1.0, 2.0)))
    assert limit(found, "esc10", "scratch", 100) == pytest.approx(4 * 2.5**0.5)
    assert limit(found, "esc10", "linear", 100, "resnet18-0") == pytest.approx(4.0)
    assert limit(found, "esc10", "linear", 100, "logmel-0") == pytest.approx(4.0)
    assert limit(found, "esc10", "linear", 100, metric="map") == pytest.approx(4.0)
    assert limit(found, "esc10", "linear", 100, kind="seed") == 0.0
    assert limit(found, "esc10", "linear", 100, kind="exact") == 0.0


def test_a_run_that_was_measured_seldom_takes_the_spread_of_all_that_are_as_it_is():
    own = row("esc10", "linear", 100, 5.0, 0.1, "resnet18-0")
    other = row("esc10", "linear", 100, 2.0, 2.0)
    assert limit(Tolerance((own, other)), "esc10", "linear", 100, "resnet18-0") == 10.0
    assert limit(Tolerance((own, other)), "us8k", "linear", 100, "resnet18-0") == 1.0
    seldom = replace(own, perturbations=1, movements=12)
    pooled = ((0.01 + 4.0) / 2) ** 0.5
    assert limit(Tolerance((seldom, other)), "us8k", "linear", 100, "resnet18-0") == pytest.approx(4 * pooled)
    assert limit(Tolerance((seldom, other)), "esc10", "linear", 100, "resnet18-0") == 10.0


def test_a_new_measurement_replaces_that_of_its_runs_alone():
    old = Tolerance((row("esc10", "linear", 100, 1.0, 1.0), row("esc10", "linear", 100, 5.0, 5.0, "resnet18-0")))
    found = old.updated(Tolerance((row("us8k", "knn", 100, 2.0, 2.0),)))
    assert [(row.name, row.task) for row in found.rows] == [("resnet18-0", "esc10"), ("simclr-0", "us8k")]


def test_rows_survive_their_file(tmp_path):
    found = measure([movements(simclr=1 / 3, logmel=0.0)], TRAINED)
    write_rows(tmp_path / "tolerance.csv", ToleranceRow, found.rows)
    again = read_rows(tmp_path / "tolerance.csv", ToleranceRow)
    assert [row.largest for row in again] == [0.0, 0.333333]
    assert again[0] == found.rows[0]


def test_of_twenty_equally_noisy_runs_hardly_a_cell_lies_beyond_what_the_others_give():
    generator = np.random.default_rng(0)
    runs = [movements(simclr=generator.normal(0, 5), logmel=0.0) for _ in range(20)]
    assert beyond_the_others(runs, TRAINED) == [0] * 20
    outlier = [*runs, movements(simclr=60.0, logmel=0.0)]
    assert beyond_the_others(outlier, TRAINED)[-1] == 1
    assert beyond_the_others(runs[:1], TRAINED) == [None]
