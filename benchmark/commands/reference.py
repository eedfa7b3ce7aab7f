"""The reference check: compare with the accepted run, accept a new one, measure its tolerance."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Optional

import typer

from benchmark.commands.common import ProfileOption, chosen_workspace


def compare(
    profile: ProfileOption = None,
    reference: Annotated[Optional[Path], typer.Option(help="Folder of the accepted run.")] = None,  # noqa: UP045
    out: Annotated[Optional[Path], typer.Option(help="Where compare.md and compare.json go.")] = None,  # noqa: UP045
) -> None:
    """Set the present scores against the accepted run and the published numbers; exit code 1 on a regression."""
    import pandas as pd

    from benchmark.accepted import read_accepted, read_current, reference_folder
    from benchmark.artifacts import write_json, write_text
    from benchmark.published.results import RESULTS_FILE, load_published_results
    from benchmark.reporting.comparison import as_record, as_text
    from benchmark.statistics.inputs import scores_folder
    from benchmark.statistics.published import published_matches
    from benchmark.statistics.reference import compare as set_side_by_side
    from benchmark.statistics.rows import AccuracyRow, read_rows

    workspace = chosen_workspace(profile)
    accepted, tolerance = read_accepted(reference or reference_folder(workspace))
    current = read_current(workspace)
    comparison = set_side_by_side(accepted, current, tolerance)
    summary = read_rows(scores_folder(workspace) / "summary.csv", AccuracyRow)
    printed = load_published_results(workspace.root) if (workspace.root / RESULTS_FILE).exists() else pd.DataFrame()
    metrics = {task: record["metric"] for task, record in current.tasks.items()}
    published = published_matches(summary, current.scores, printed, metrics)
    text = as_text(workspace.profile, comparison, published)
    folder = out or workspace.results / "compare"
    write_text(folder / "compare.md", text)
    write_json(folder / "compare.json", as_record(workspace.profile, comparison, published))
    typer.echo(text)
    raise typer.Exit(1 if comparison.regressed else 0)


def accept(
    profile: ProfileOption = None,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Although the tree has uncommitted changes.")
    ] = False,
    reference: Annotated[Optional[Path], typer.Option(help="Folder to record in; default: the profile's.")] = None,  # noqa: UP045
    all_files: Annotated[
        bool, typer.Option("--all", help="With all scores, tables, figures, records of runs and timings.")
    ] = False,
) -> None:
    """Record the present scores, with what made them, as the accepted run of the profile."""
    from benchmark.accepted import accept as record
    from benchmark.accepted import reference_folder

    workspace = chosen_workspace(profile)
    folder = reference or reference_folder(workspace)
    beside = record(workspace, allow_dirty, folder, all_files)
    typer.echo(f"Accepted: {os.path.relpath(folder, workspace.root)}; commit it.")
    if beside:
        typer.echo(f"Left as they were, from the run accepted before: {', '.join(beside)}.")


def tolerance(
    profile: ProfileOption = None,
    runs: Annotated[int, typer.Option(min=0, help="Reruns with other threads and kernels.")] = 8,
    seeds: Annotated[int, typer.Option(min=0, help="Reruns with other seeds.")] = 3,
    only: Annotated[Optional[list[str]], typer.Option(help="Only this run family; may be repeated.")] = None,  # noqa: UP045
) -> None:
    """Measure how far noise moves the scores, in test clips, and record it beside the accepted run."""
    from benchmark.accepted import reference_folder, write_tolerance
    from benchmark.perturbed import measure_tolerance

    workspace = chosen_workspace(profile)
    measured, record = measure_tolerance(workspace, runs, seeds, only or [])
    write_tolerance(reference_folder(workspace), measured, record)
    for row in measured.rows:
        limit = measured.limit(row.kind, row.name, row.task, row.protocol, row.metric, row.trained, row.clips)
        cell = f"{row.kind:<10} {row.name:<22} {row.task:<20} {row.protocol:<17} {row.metric:<20}"
        typer.echo(f"{cell} largest {row.largest:5.1f}, tolerance {limit:5.1f} of {row.clips} test clips")
    for entry in record["perturbations"]:
        beyond = entry["beyond_tolerance_of_the_others"]
        held = "" if beyond is None else f"; {beyond} beyond the tolerance that the other reruns give"
        moved = f"{entry['moved']} of {entry['cells']} cells moved, the furthest by {entry['largest']:.1f} test clips"
        typer.echo(f"{entry['name']}: {moved}{held}")
