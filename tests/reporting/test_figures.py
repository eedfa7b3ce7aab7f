from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmark.errors import CorruptArtifactError
from benchmark.jobs import ReportJob
from benchmark.reporting.curves import read_curves
from benchmark.reporting.figures import render_figures
from benchmark.statistics.aggregate import aggregate
from benchmark.workspace import Workspace
from tests.statistics.synthetic import default_runs, write_workspace

Project = tuple[ReportJob, Workspace]


def names(workspace: Workspace) -> set[str]:
    return {path.name for path in (workspace.results / "figures" / "small").iterdir()}


def test_every_figure_is_drawn_as_svg_and_png(project: Project):
    _, workspace = project
    assert names(workspace) == {
        f"{name}.{suffix}" for name in ("accuracy", "curves", "steps") for suffix in ("svg", "png")
    }
    for path in (workspace.results / "figures" / "small").glob("*.svg"):
        ElementTree.parse(path)
    for path in (workspace.results / "figures" / "small").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_drawing_follows_the_numbers(project: Project, tmp_path: Path):
    _, before = project
    runs = default_runs()
    runs["simclr"].accuracies[("esc10", "linear")] = 0.3
    job, after = write_workspace(tmp_path, runs)
    aggregate(job, after)
    render_figures(job, after, "small")
    drawings = [w.results / "figures" / "small" / "accuracy.svg" for w in (before, after)]
    assert drawings[0].read_text() != drawings[1].read_text()


def test_without_training_there_are_no_curves(tmp_path: Path):
    runs = {name: run for name, run in default_runs().items() if name in {"statistics", "untrained"}}
    job, workspace = write_workspace(tmp_path, runs)
    aggregate(job, workspace)
    render_figures(job, workspace, "small")
    assert names(workspace) == {"accuracy.svg", "accuracy.png"}


def test_curves_are_read_by_part_and_scalar(tmp_path: Path):
    workspace = Workspace(tmp_path, "p")
    folder = workspace.curves("r-0") / "fold-2" / "plots" / "metrics"
    folder.mkdir(parents=True)
    (folder / "loss.tsv").write_text("step\tloss\n1\t2.5\n3\t1.5\n")
    (curve,) = read_curves(workspace, "r-0")
    assert (curve.name, curve.part, curve.scalar) == ("r-0", "fold-2", "loss")
    assert (curve.steps, curve.values) == ([1, 3], [2.5, 1.5])
    (folder / "loss.tsv").write_text("nothing\n")
    with pytest.raises(CorruptArtifactError, match="not a readable curve"):
        read_curves(workspace, "r-0")
