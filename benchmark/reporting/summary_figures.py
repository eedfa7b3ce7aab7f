"""Figures of a summary's numbers: bars by run averaged over tasks, or by task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.config import FigureSpec, Study
from benchmark.reporting.results import Results, task_title

_BAR = "#2563c9"


@dataclass(frozen=True)
class Bar:
    """A label, a value and what it varies by; no value where nothing was scored."""

    label: str
    value: float | None
    spread: float | None


def panels(study: Study, spec: FigureSpec, results: Results) -> dict[str, list[Bar]]:
    """The bars of each panel in the order of the study's file, by the panel's heading."""
    summary = study.summaries[spec.summary]
    columns = [column for column in summary.columns if column.title in spec.columns]
    if spec.by == "run":
        means = {
            (row.run, row.protocol, row.train_size): row for row in results.summaries if row.summary == spec.summary
        }
        return {
            column.title: [
                Bar(study.runs[run].title, row.value, row.spread)
                for run in spec.rows
                for row in [means[run, column.protocol, str(column.train_size)]]
            ]
            for column in columns
        }
    cells = {
        (row.run, row.protocol, row.train_size, row.task): row
        for row in results.summary_tasks
        if row.summary == spec.summary
    }
    return {
        f"{study.runs[run].title}: {column.title}": [
            Bar(task_title(task), row.value, row.spread)
            for task in summary.tasks
            for row in [cells[run, column.protocol, str(column.train_size), task]]
        ]
        for run in spec.rows
        for column in columns
    }


def draw(content: dict[str, list[Bar]]) -> Figure | None:
    """A panel an entry, side by side; None where nothing was scored."""
    if not any(bar.value is not None for bars in content.values() for bar in bars):
        return None
    most = max(len(bars) for bars in content.values())
    figure = Figure(figsize=(4.6 * len(content), 1.3 + 0.3 * most), layout="constrained")
    for axes, (heading, bars) in zip(
        figure.subplots(1, len(content), squeeze=False).flat, content.items(), strict=True
    ):
        _panel(axes, heading, bars)
    return figure


def _panel(axes: Axes, heading: str, bars: Sequence[Bar]) -> None:
    places = range(len(bars))
    ordered = list(reversed(bars))
    axes.barh(places, [bar.value or 0.0 for bar in ordered], xerr=[bar.spread or 0.0 for bar in ordered], color=_BAR)
    labels = [bar.label + ("" if bar.value is not None else " (not run)") for bar in ordered]
    axes.set_yticks(places, labels)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_title(heading, loc="left", fontweight="bold")
    axes.set_xlabel("normalised accuracy (0 Untrained, 1 Supervised)")
    axes.grid(axis="y", visible=False)
