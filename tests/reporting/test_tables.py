from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmark.errors import StaleArtifactError
from benchmark.jobs import ReportJob
from benchmark.reporting.tables import render_tables
from benchmark.statistics.aggregate import aggregate
from benchmark.statistics.rows import AccuracyRow, read_rows
from benchmark.workspace import Workspace
from tests.statistics.synthetic import REASON, STUDY, default_runs, write_workspace

Project = tuple[ReportJob, Workspace]


def cells(workspace: Workspace, table: str) -> dict[str, dict[str, str]]:
    """A written table as run -> column -> text."""
    text = (workspace.results / "tables" / "small" / f"{table}.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in text if not line.startswith("#"))
    return {row["Run"]: row for row in rows}


def text(workspace: Workspace, table: str, suffix: str) -> str:
    return (workspace.results / "tables" / "small" / f"{table}.{suffix}").read_text()


def test_a_cell_is_the_mean_with_its_interval(project: Project):
    _, workspace = project
    summary = read_rows(workspace.results / "scores" / "summary.csv", AccuracyRow)
    row = next(row for row in summary if row.cell == ("simclr", "esc10", "linear", "full"))
    assert row.accuracy is not None
    assert row.lower is not None
    assert row.upper is not None
    shown = cells(workspace, "accuracy")["SimCLR & mix-back"]
    assert shown["ESC-10"] == f"{100 * row.accuracy:.1f} [{100 * row.lower:.1f}, {100 * row.upper:.1f}]"
    assert (shown["Seeds"], shown["Audio"]) == ("3", "urbansound8k")


def test_a_protocol_by_run_family_is_honoured(project: Project):
    _, workspace = project
    shown = cells(workspace, "accuracy")["Supervised"]
    assert float(shown["ESC-10"].split()[0]) > 85
    assert shown["UrbanSound8K"] == "–"


def test_what_was_not_run_says_why(project: Project):
    _, workspace = project
    assert cells(workspace, "accuracy")["Not here yet"]["ESC-10"] == "not run (a)"
    for suffix in ("csv", "md", "tex"):
        assert f"(a) {REASON}." in text(workspace, "accuracy", suffix)


def test_undefined_says_why_and_shows_the_raw_accuracy(project: Project):
    _, workspace = project
    shown = cells(workspace, "normalised")["SimCLR & mix-back"]
    assert shown["UrbanSound8K"].startswith("undefined (a); raw ")
    assert "(a) no reference: supervised was not scored here." in text(workspace, "normalised", "md")
    assert shown["Mean over tasks"].endswith("1 of 2 tasks")


def test_standin_results_say_so_in_every_format(project: Project):
    _, workspace = project
    for path in (workspace.results / "tables" / "small").iterdir():
        assert "Stand-in data: synthetic audio, not results." in path.read_text(), path


def test_real_results_carry_no_banner(tmp_path: Path):
    job, workspace = write_workspace(tmp_path, standin=False)
    aggregate(job, workspace)
    render_tables(job, workspace, "small")
    assert "Stand-in" not in text(workspace, "accuracy", "md")


def test_transductive_cells_are_flagged(tmp_path: Path):
    runs = default_runs()
    runs["simclr"].transductive = True
    job, workspace = write_workspace(tmp_path, runs)
    aggregate(job, workspace)
    render_tables(job, workspace, "small")
    shown = cells(workspace, "accuracy")
    assert shown["SimCLR & mix-back"]["ESC-10"].endswith("†")
    assert "†" not in shown["Untrained"]["ESC-10"]
    assert "† transductive" in text(workspace, "accuracy", "md")
    assert r"\dag" in text(workspace, "accuracy", "tex")


def test_a_run_that_the_profile_leaves_out_says_so(tmp_path: Path):
    runs = default_runs()
    del runs["late"]
    job, workspace = write_workspace(tmp_path, runs)
    aggregate(job, workspace)
    render_tables(job, workspace, "small")
    assert cells(workspace, "accuracy")["Not here yet"]["ESC-10"] == "not run (a)"
    assert "(a) this profile leaves the run out." in text(workspace, "accuracy", "md")


def test_without_aggregation_the_error_is_one_sentence(tmp_path: Path):
    job, workspace = write_workspace(tmp_path)
    with pytest.raises(StaleArtifactError, match=r"summary\.csv does not exist; run `dvc repro`"):
        render_tables(job, workspace, "small")


def test_a_study_that_is_not_in_the_plan_is_one_sentence(project: Project):
    job, workspace = project
    (workspace.root / "studies" / "other.yaml").write_text(STUDY.replace("id: small", "id: other"))
    with pytest.raises(StaleArtifactError, match="has no study 'other'"):
        render_tables(job, workspace, "other")
