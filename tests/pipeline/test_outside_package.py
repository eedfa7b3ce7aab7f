"""The example package, installed beside the benchmark: checked, planned, trained, scored, in the tables; and its edits rerun it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.pipeline.project import ROOT, Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

MINE = {"methods": "cross_correlation", "encoders": "band_mixer", "tasks": "drip_surface", "datasets": "drips"}
CROSS = "pretrain@standin-cross_correlation_fsdd-0"


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the package installed and its study selected; it has run once."""
    project = Project.create(tmp_path_factory.mktemp("outside"))
    source = tmp_path_factory.mktemp("source") / "acoustic_plugin"
    shutil.copytree(ROOT / "examples" / "acoustic_plugin", source)  # pip writes beside what it builds
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check")
    project.run(sys.executable, "-m", "pip", "install", *offline, "--target", str(project.root), str(source))
    project.change_profile("standin", {"studies": ["acoustic"]})
    project.select("standin")
    assert CROSS in project.repro()
    return project


def test_it_is_listed_like_the_trees_own(outside: Project):
    for what, name in {**MINE, "studies": "acoustic"}.items():
        rows = {row["name"]: row for row in json.loads(outside.run("benchmark", "list", what, "--json").stdout)}
        assert "acoustic-plugin" in rows[name]["about"]
        assert any("in-tree" in row["about"] for row in rows.values())
    assert "cross_correlation_fsdd" in outside.run("benchmark", "list", "runs").stdout
    assert "cross_correlation_fsdd" in outside.run("benchmark", "plan", "--study", "acoustic").stdout


def test_it_passes_the_preflight_and_its_own_tests(outside: Project):
    checked = outside.run("benchmark", "check", "cross_correlation", "--encoder", "band_mixer").stdout
    assert "ready to run" in checked
    tests = str(ROOT / "examples" / "acoustic_plugin" / "tests")
    outside.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "pytest.ini", "--rootdir", ".", tests)


def test_it_is_scored_and_in_the_table(outside: Project):
    results = outside.root / "results" / "standin"
    table = pd.read_csv(results / "tables" / "acoustic" / "accuracy.csv")
    assert "Cross-correlation" in table.to_string()
    assert "Cross-correlation" in (results / "report" / "index.html").read_text()
    scores = pd.read_csv(results / "scores" / "scores.csv")
    mine = scores[scores["task"] == "drip_surface"]
    assert set(mine["run"]) == {"features", "untrained_mixer", "cross_correlation_fsdd"}
    assert (mine["status"] == "ok").all()
    assert mine["score"].between(0, 1).all()
    other = scores[(scores["task"] == "fsdd_digit_official") & (scores["run"] == "cross_correlation_drips")]
    assert (other["status"] == "ok").all()
    assert len(other) > 0


@pytest.mark.parametrize(
    ("file", "old", "new", "trained"),
    [
        ("cross_correlation.py", '"""Cross-correlation', '"""Reworded. Cross-correlation', set()),
        ("_losses.py", "+ 1e-4)", "+ 2e-4)", {"cross_correlation_fsdd-0", "cross_correlation_drips-0"}),
        ("band_mixer.py", "HIDDEN = 256", "HIDDEN = 128 + 128", {"untrained_mixer-0", "cross_correlation_fsdd-0"}),
    ],
    ids=["docstring", "helper of the method", "encoder"],
)
def test_an_edit_reruns_what_it_can_change(outside: Project, file: str, old: str, new: str, trained: set[str]):
    before = codes(outside.root)
    outside.edit(f"acoustic_plugin/{file}", old, new)
    outside.run("benchmark", "plan", "--write")
    after = codes(outside.root)
    assert {run for run in before if before[run] != after[run]} == trained


def test_after_an_edit_just_that_runs_again(outside: Project):
    """The edits above have been planned; the docstring and what they did not touch stay."""
    ran = {stage for stage in outside.repro() if stage.startswith(("prepare", "pretrain"))}
    assert ran == {CROSS, "pretrain@standin-cross_correlation_drips-0", "pretrain@standin-untrained_mixer-0"}
    outside.edit("acoustic_plugin/drips.py", "# noqa: RUF012", "# noqa: RUF012, reworded")
    assert outside.repro() == set()
    outside.edit("acoustic_plugin/drips.py", "_TAPS = 10", "_TAPS = 9")
    ran = {stage for stage in outside.repro() if stage.startswith(("prepare", "pretrain"))}
    assert ran >= {"prepare@standin-drips-16000", "pretrain@standin-cross_correlation_drips-0"}
    assert "prepare@standin-fsdd-16000" not in ran


def codes(root: Path) -> dict[str, str]:
    """The code hash of every planned pre-training."""
    jobs = (root / "build" / "standin" / "plan" / "pretrain").glob("*.json")
    return {job.stem: json.loads(job.read_text())["code"] for job in jobs}
