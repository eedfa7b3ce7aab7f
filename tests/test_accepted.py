"""Accepting a run and reading it back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from benchmark.accepted import accept, read_accepted, read_current, read_tolerance, reference_folder, write_tolerance
from benchmark.artifacts import read_json, write_json, write_text
from benchmark.errors import ReferenceRunError
from benchmark.statistics.aggregate import aggregate
from benchmark.statistics.inputs import scores_folder
from benchmark.statistics.reference import compare
from benchmark.statistics.tolerance import Tolerance
from benchmark.workspace import Workspace
from tests.statistics.accepted_runs import TOLERANCE
from tests.statistics.synthetic import Run, default_runs, write_workspace

REFERENCE = Path(__file__).parents[1] / "results" / "reference"


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words], cwd=root, check=True)


def made(root: Path, runs: dict[str, Run]) -> Workspace:
    """A committed project whose profile has been aggregated."""
    job, workspace = write_workspace(root, runs)
    aggregate(job, workspace)
    write_json(workspace.plan("report", "aggregate"), job.model_dump(mode="json"))
    git(root, "init", "--quiet")
    git(root, "add", "studies")
    git(root, "commit", "--quiet", "-m", "project")
    return workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    runs = default_runs()
    del runs["late"]
    return made(tmp_path, runs)


def test_what_was_accepted_compares_equal(workspace: Workspace):
    assert accept(workspace) == []
    accepted, tolerance = read_accepted(reference_folder(workspace))
    found = compare(accepted, read_current(workspace), tolerance)
    assert found.failures == found.notes == found.differences == []
    assert found.cells > 0
    record = read_json(reference_folder(workspace) / "accepted.json")
    assert len(record["commit"]) == 40
    assert record["host"]["processor"]
    assert record["tolerance"] is None
    assert "simclr-0" in record["configuration"]


def test_no_picture_and_nothing_large_is_kept(workspace: Workspace):
    accept(workspace)
    files = {str(file.relative_to(reference_folder(workspace))) for file in reference_folder(workspace).rglob("*.*")}
    assert files == {
        "accepted.json",
        "metrics.json",
        "scores/scores.csv",
        "scores/summary.csv",
        "scores/provenance.json",
    }


def test_all_that_a_reader_looks_at_takes_the_place_of_an_earlier_runs(workspace: Workspace, tmp_path: Path):
    folder, present = tmp_path / "elsewhere", workspace.results
    for name in ("scores/steps.csv", "tables/old/old.md", "runs/old-0.json", "notes.md"):
        write_text(folder / name, "of an earlier run")
    write_text(present / "tables" / "small" / "accuracy.md", "table")
    write_text(present / "figures" / "small" / "accuracy.png", "figure")
    for run in read_current(workspace).runs:
        write_json(workspace.run(run) / "run.json", {"name": run})
    (present / "scores" / "steps.csv").unlink(missing_ok=True)

    assert accept(workspace, folder=folder, all_files=True) == ["notes.md"]
    assert not reference_folder(workspace).exists()
    for pattern in ("scores/*", "tables/*/*", "figures/*/*"):
        files = [file.relative_to(present) for file in present.glob(pattern)]
        assert files
        assert all((folder / file).read_bytes() == (present / file).read_bytes() for file in files)
    assert read_json(folder / "runs" / "simclr-0.json") == {"name": "simclr-0"}
    assert (folder / "timings.txt").read_text().endswith("total of 0 stages, peak of one\n")
    assert not [name for name in ("scores/steps.csv", "tables/old", "runs/old-0.json") if (folder / name).exists()]
    found = compare(read_accepted(folder)[0], read_current(workspace), Tolerance())
    assert found.failures == found.differences == []


def test_a_changed_tree_is_refused_but_for_the_reference_itself(workspace: Workspace):
    accept(workspace)
    git(workspace.root, "add", "results/reference")
    git(workspace.root, "commit", "--quiet", "-m", "accepted")
    (reference_folder(workspace) / "metrics.json").write_text("{}")
    accept(workspace)
    (workspace.root / "studies" / "small.yaml").write_text(
        (workspace.root / "studies" / "small.yaml").read_text() + "\n"
    )
    with pytest.raises(ReferenceRunError, match=r"uncommitted changes.*--allow-dirty"):
        accept(workspace)
    accept(workspace, allow_dirty=True)
    assert read_json(reference_folder(workspace) / "accepted.json")["commit"].endswith("+changes")


def test_another_selected_profile_is_no_change_of_the_tree(workspace: Workspace):
    file = workspace.root / "params.yaml"
    file.write_text("profile: [a]\nactive:\n  runs: [one,\n    two]\nseed: 0  # kept\n")
    git(workspace.root, "add", "-f", "params.yaml")
    git(workspace.root, "commit", "--quiet", "-m", "params")
    file.write_text("profile: [b]\nactive:\n  runs: [three]\nseed: 0  # kept\n")
    accept(workspace)
    assert not read_json(reference_folder(workspace) / "accepted.json")["commit"].endswith("+changes")
    file.write_text("profile: [b]\nactive:\n  runs: [three]\nseed: 1  # kept\n")
    with pytest.raises(ReferenceRunError, match="uncommitted changes"):
        accept(workspace)


def test_incomplete_scores_are_refused(workspace: Workspace, tmp_path: Path):
    with pytest.raises(ReferenceRunError, match=r"late-0 on esc10 for one \(dataset esc50 is absent\)"):
        accept(made(tmp_path / "late", default_runs()))
    scores = scores_folder(workspace) / "scores.csv"
    lines = scores.read_text().splitlines(keepends=True)
    scores.write_text("".join(line for line in lines if "simclr-1" not in line))
    with pytest.raises(ReferenceRunError, match="lack the run simclr-1"):
        accept(workspace)


def test_scores_of_other_weights_are_refused(workspace: Workspace):
    file = scores_folder(workspace) / "provenance.json"
    record = read_json(file)
    record["simclr-0"]["weights"] = {"all": "others"}
    write_json(file, record)
    with pytest.raises(ReferenceRunError, match="simclr-0 was scored with other weights"):
        accept(workspace)


def test_a_tolerance_outlives_a_new_reference_and_older_files_are_named(workspace: Workspace):
    folder = reference_folder(workspace)
    accept(workspace)
    write_tolerance(folder, TOLERANCE, {"runs": []})
    (folder / "figures").mkdir()
    (folder / "figures" / "old.png").write_bytes(b"png")
    assert accept(workspace) == ["figures/old.png"]
    assert set(read_accepted(folder)[1].rows) == set(TOLERANCE.rows)
    assert read_json(folder / "accepted.json")["tolerance"]


def test_no_reference_is_one_clear_sentence(workspace: Workspace):
    with pytest.raises(ReferenceRunError, match=r"no accepted run in .*test; .*benchmark accept"):
        read_accepted(reference_folder(workspace))


@pytest.mark.parametrize(
    "folder", sorted(str(file.parent.relative_to(REFERENCE)) for file in REFERENCE.rglob("accepted.json"))
)
def test_every_reference_of_the_project_is_readable_and_equals_itself(folder: str, tmp_path: Path):
    shutil.copytree(REFERENCE / folder, tmp_path / "copy")
    accepted, tolerance = read_accepted(tmp_path / "copy")
    found = compare(accepted, accepted, tolerance)
    assert found.failures == []
    assert found.cells > 100
    if folder == "sandbox":
        assert tolerance != Tolerance()


@pytest.mark.parametrize(
    "folder", sorted(str(folder.relative_to(REFERENCE)) for folder in REFERENCE.glob("mini*/*") if folder.is_dir())
)
def test_what_lies_beside_the_scores_of_one_study_is_of_that_study(folder: str):
    study, scores = Path(folder).name, REFERENCE / folder / "scores"
    tables = [pd.read_csv(file) for file in sorted(scores.glob("*.csv"))]
    assert {name for table in tables if "study" in table for name in table["study"]} == {study}
    runs = {f"{run}-{seed}" for run, seed in pd.read_csv(scores / "scores.csv")[["run", "pretrain_seed"]].to_numpy()}
    if (scores / "findings.json").exists():
        assert set(read_json(scores / "findings.json")["studies"]) == {study}
        assert set(read_json(scores / "diagnostics.json")) <= runs
    accuracy = pd.read_csv(scores / "summary.csv").set_index(["run", "task", "protocol", "train_size"])["accuracy"]
    if (scores / "normalised.csv").exists():
        for row in pd.read_csv(scores / "normalised.csv").dropna(subset="accuracy").itertuples():
            assert row.accuracy == accuracy[row.run, row.task, row.protocol, row.train_size]


def test_a_measurement_of_some_runs_leaves_that_of_others(tmp_path: Path):
    write_tolerance(tmp_path, TOLERANCE, {"runs": ["simclr-0", "logmel-0"]})
    write_tolerance(tmp_path, Tolerance(), {"runs": ["other-0"]})
    write_tolerance(tmp_path, Tolerance(), {"runs": ["other-0"], "again": True})
    assert set(read_tolerance(tmp_path).rows) == set(TOLERANCE.rows)
    measurements = read_json(tmp_path / "tolerance.json")["measurements"]
    assert [entry["runs"] for entry in measurements] == [["simclr-0", "logmel-0"], ["other-0"]]
    assert measurements[1]["again"]
