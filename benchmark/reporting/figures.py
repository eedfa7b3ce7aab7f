"""A study's figures, as SVG and PNG, the same bytes whenever the results are the same."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.artifacts import atomic_path, write_text
from benchmark.config import Study
from benchmark.jobs import ReportJob
from benchmark.reporting.curves import Curve, read_curves
from benchmark.reporting.results import BANNER, Results, read_results, task_metric, task_title
from benchmark.reporting.summary_figures import draw, panels
from benchmark.statistics.cells import CellKey
from benchmark.statistics.families import cell_key, headline
from benchmark.statistics.findings import steps_of
from benchmark.statistics.rows import AccuracyRow
from benchmark.studies import load_study
from benchmark.workspace import Workspace

_COLOURS = {"baseline": "#8a8f98", "untrained": "#444a54", "supervised": "#2a9d5c", "pre-trained": "#2563c9"}
_PALETTE = ("#2563c9", "#d1661f", "#2a9d5c", "#9a4dc4", "#c2304b", "#5f6b7a")
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "axes.axisbelow": True,
    "svg.hashsalt": "benchmark",
}
_MOST_COLUMNS = 3
Points = list[tuple[int, float]]
"""Steps of pre-training and an accuracy."""


def render_figures(job: ReportJob, workspace: Workspace, study: str) -> None:
    """Write a study's figures to ``results/<profile>/figures/<study>/``: accuracy, and, where there is something to
    show, the learning curves, the accuracy by steps of pre-training, and the figures that the study declares.

    Raises:
        StaleArtifactError: aggregation has not run.
    """
    record = load_study(workspace.root, study)
    results = read_results(workspace).of(study)
    folder = workspace.results / "figures" / study
    with matplotlib.rc_context(_STYLE):
        figures = {
            "accuracy": _accuracy(record, job.runs[study], results),
            "curves": _curves(_losses(job, workspace, study)),
            "steps": _steps(job, record, results),
        }
        for name, figure in figures.items():
            if figure is not None:
                _save(figure, folder / name, f"{record.title}: {_TITLES[name]}", job.standin)
        for name, spec in record.figures.items():
            if any(row in job.runs[study] for row in spec.rows) and (drawn := draw(panels(record, spec, results))):
                _save(drawn, folder / name, spec.caption, job.standin)


_TITLES = {
    "accuracy": "accuracy with 95 % intervals",
    "curves": "training loss, one line a seed and fold",
    "steps": "accuracy by steps of pre-training",
}


def _accuracy(study: Study, runs: Container[str], results: Results) -> Figure | None:
    """Dots with intervals, a panel a task; a small mark a seed."""
    table = headline(study, runs)
    if table is None:
        return None
    cells = {row.cell: row for row in results.summary if row.accuracy is not None}
    panels = {
        task: [row for run in table.rows if (row := cells.get((run, *cell_key(table, run, task))))]
        for task in table.tasks
    }
    panels = {task: rows for task, rows in panels.items() if rows}
    most = max((len(rows) for rows in panels.values()), default=0)
    return _grid(panels, _draw_accuracy, height=0.8 + 0.3 * most, width=4.6)


def _draw_accuracy(axes: Axes, task: str, rows: Sequence[AccuracyRow]) -> None:
    for height, row in enumerate(reversed(rows)):
        colour = _COLOURS[row.role]
        accuracy = 100 * (row.accuracy or 0.0)
        if row.lower is not None and row.upper is not None:
            axes.plot(
                [100 * row.lower, 100 * row.upper], [height, height], color=colour, linewidth=2, solid_capstyle="butt"
            )
        seeds = [100 * float(value) for value in row.by_seed.split()]
        axes.plot(seeds, [height] * len(seeds), "|", color=colour, markersize=9, alpha=0.6)
        axes.plot([accuracy], [height], "o", color=colour, markersize=5.5, markeredgecolor="white")
    axes.set_yticks(range(len(rows)), [_label(row, rows) for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(0, 102)
    axes.set_title(task_title(task) + (" (saturated)" if rows[0].saturated else ""), loc="left", fontweight="bold")
    axes.set_xlabel(f"{task_metric(task)}, %")
    axes.grid(axis="y", visible=False)


def _label(row: AccuracyRow, rows: Sequence[AccuracyRow]) -> str:
    """A run's title, with its audio where another run of the panel has the same title."""
    shared = sum(other.title == row.title for other in rows) > 1
    return f"{row.title} ({row.data})" if shared else row.title


def _losses(job: ReportJob, workspace: Workspace, study: str) -> dict[str, list[Curve]]:
    """The loss curves of each run family that was trained, by a heading that tells families of one title apart."""
    facts = job.runs[study]
    curves = {
        run: [curve for name in facts[run].names for curve in read_curves(workspace, name) if curve.scalar == "loss"]
        for run in facts
    }
    return {f"{facts[run].title}\n{run}": found for run, found in curves.items() if found}


def _curves(losses: dict[str, list[Curve]]) -> Figure | None:
    return _grid(losses, _draw_losses, height=2.3, width=4.0)


def _draw_losses(axes: Axes, heading: str, curves: Sequence[Curve]) -> None:
    names = sorted({curve.name for curve in curves})
    for curve in curves:
        colour = _PALETTE[names.index(curve.name) % len(_PALETTE)]
        axes.plot(curve.steps, curve.values, color=colour, linewidth=1, alpha=0.85)
    axes.set_title(heading, loc="left", fontsize=9)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")


def _steps(job: ReportJob, study: Study, results: Results) -> Figure | None:
    """Accuracy after some steps of pre-training: a line a run, the mean over its seeds, with every seed as a dot."""
    table = headline(study, job.runs[study.id])
    if table is None or not results.snapshots:
        return None
    panels: dict[str, dict[str, Points]] = {}
    for task in table.tasks:
        for run in table.rows:
            if points := _points(job, results, study.id, run, cell_key(table, run, task)):
                panels.setdefault(task, {})[run] = points
    return _grid(panels, _draw_steps, height=2.6, width=4.0)


def _points(job: ReportJob, results: Results, study: str, run: str, key: CellKey) -> Points:
    """Steps and accuracy of each seed's snapshots and of its final encoder; empty where there are no snapshots."""
    points = [(row.step, row.accuracy) for row in results.snapshots if row.cell == (run, *key)]
    if points:
        last = max(steps_of(results.provenance[name]) for name in job.runs[study][run].names)
        final = [row.by_seed.split() for row in results.summary if row.cell == (run, *key)]
        points += [(last, float(value)) for values in final for value in values]
    return points


def _draw_steps(axes: Axes, task: str, by_run: dict[str, Points]) -> None:
    for index, (run, points) in enumerate(by_run.items()):
        colour = _PALETTE[index % len(_PALETTE)]
        steps = sorted({step for step, _ in points})
        means = [_mean([100 * value for step, value in points if step == wanted]) for wanted in steps]
        axes.plot(steps, means, "-", color=colour, linewidth=1.5, label=run)
        axes.plot([step for step, _ in points], [100 * value for _, value in points], ".", color=colour, markersize=4)
    axes.set_title(task_title(task), loc="left", fontweight="bold")
    axes.set_xlabel("steps of pre-training")
    axes.set_ylabel(f"{task_metric(task)}, %")
    axes.legend(frameon=False, fontsize=8)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _grid(
    panels: dict[str, Any], draw: Callable[[Axes, str, Any], None], *, height: float, width: float
) -> Figure | None:
    """A panel an entry, at most three a row; sizes of a panel in inches. None where there is nothing to draw."""
    if not panels:
        return None
    columns = min(len(panels), _MOST_COLUMNS)
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(width * columns, height * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (name, content) in zip(grid.flat, panels.items(), strict=False):
        draw(axes, name, content)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    return figure


def _save(figure: Figure, path: Path, title: str, standin: bool) -> None:
    figure.suptitle(f"{BANNER}\n{title}" if standin else title, color="#b3261e" if standin else "black", fontsize=10)
    figure.draw_without_rendering()  # arranges the panels, once for both formats
    figure.set_layout_engine(None)  # "none" would have each format drawn twice
    drawing = io.StringIO()
    figure.savefig(drawing, format="svg", metadata={"Date": None, "Creator": None})
    write_text(path.with_suffix(".svg"), drawing.getvalue())
    with atomic_path(path.with_suffix(".png")) as temporary:
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
