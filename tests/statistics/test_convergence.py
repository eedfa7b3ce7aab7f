"""How soon fine-tuning reaches 99 % of what training from scratch ends with, on curves that are worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.statistics.aggregate import aggregate
from benchmark.statistics.inputs import scores_folder
from benchmark.statistics.rows import ConvergenceRow, CurveRow, read_rows
from tests.statistics.synthetic import default_runs, write_workspace

STEPS = (10, 20, 30)
SCRATCH = (0.3, 0.85, 0.8)


def found(folder: Path, simclr: dict[int, float]) -> dict[tuple[str, str], ConvergenceRow]:
    """What a study gives, by run and seed of pre-training: from scratch two seeds with equal curves, SimCLR three."""
    runs = default_runs()
    runs["supervised"].curves = {("esc10", "scratch"): dict(zip(STEPS, SCRATCH, strict=True))}
    runs["simclr"].curves = {("esc10", "linear"): simclr}
    job, workspace = write_workspace(folder, runs)
    aggregate(job, workspace)
    rows = read_rows(scores_folder(workspace) / "convergence.csv", ConvergenceRow)
    return {(row.run, str(row.pretrain_seed)): row for row in rows}


@pytest.mark.parametrize(
    ("simclr", "reached", "steps"),
    [
        ((0.1, 0.8, 0.7), True, 20),  # the first step with 0.792 counts, whatever comes after
        ((0.1, 0.7919, 0.7921), True, 30),
        ((0.795, 0.9, 0.9), True, 10),
        ((0.1, 0.2, 0.79), False, 31),
    ],
)
def test_the_first_step_at_99_percent_of_the_end_from_scratch(
    tmp_path: Path, simclr: tuple[float, ...], reached: bool, steps: int
):
    rows = found(tmp_path, dict(zip(STEPS, simclr, strict=True)))
    assert len(rows) == 5
    scratch, row = rows["supervised", "0"], rows["simclr", "2"]
    assert (scratch.steps, scratch.final) == (20, pytest.approx(0.8))
    assert (row.reached, row.steps) == (reached, steps)
    assert row.target == scratch.target == pytest.approx(0.792)
    assert (row.reference, row.protocol, row.final) == ("supervised", "linear", pytest.approx(simclr[-1]))


def test_without_a_reference_there_is_a_curve_and_no_convergence(tmp_path: Path):
    """SimCLR names no run from scratch on the speaker task."""
    runs = default_runs()
    runs["simclr"].curves = {("fsdd_speaker", "linear"): {10: 0.5, 20: 0.6}}
    job, workspace = write_workspace(tmp_path, runs)
    aggregate(job, workspace)
    assert read_rows(scores_folder(workspace) / "convergence.csv", ConvergenceRow) == []
    curves = read_rows(scores_folder(workspace) / "curves.csv", CurveRow)
    assert [(row.pretrain_seed, row.step, row.value) for row in curves] == [
        (seed, step, pytest.approx(value)) for seed in range(3) for step, value in ((10, 0.5), (20, 0.6))
    ]
