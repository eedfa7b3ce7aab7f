"""The example package, installed beside the benchmark: checked, planned, trained, scored, in the tables; edits rerun it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.pipeline.project import ROOT, Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MINE = {"methods": "cross_correlation", "encoders": "band_mixer", "tasks": "drip_surface", "datasets": "drips"}
CROSS = "pretrain@standin-cross_correlation_fsdd-0"


@pytest.fixture(scope="module")
def outside(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the package installed and its study selected, which has run once."""
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
    outside.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, tests)


def test_it_is_scored_and_in_the_table(outside: Project):
    results = outside.root / "results" / "standin"
    table = (results / "tables" / "acoustic" / "accuracy.md").read_text()
    assert re.search(r"^\| Cross-correlation \| fsdd \| 1 \| \d+\.\d", table, flags=re.MULTILINE), table
    assert "Cross-correlation" in (results / "report" / "index.html").read_text()
    scores = pd.read_csv(results / "scores" / "scores.csv")
    assert set(scores["run"]) == {"untrained_mixer", "cross_correlation_fsdd"}
    assert set(scores["task"]) == {"drip_surface"}
    assert (scores["status"] == "ok").all()


def test_an_edit_of_a_methods_helper_trains_that_method_and_a_comment_nothing(outside: Project):
    outside.edit("acoustic_plugin/band_mixer.py", '"""Two layers', '"""Reworded. Two layers')
    outside.edit("acoustic_plugin/drips.py", "# noqa: RUF012", "# reworded")
    outside.edit("acoustic_plugin/_losses.py", "+ 1e-4)", "+ 2e-4)")
    ran = {stage for stage in outside.repro() if stage.startswith(("prepare", "pretrain", "evaluate"))}
    assert ran == {CROSS, CROSS.replace("pretrain", "evaluate")}


def test_an_edit_of_a_datasets_code_prepares_it_again(outside: Project):
    before = scans(outside.root)
    outside.edit("acoustic_plugin/drips.py", "_TAPS = 10", "_TAPS = 9")
    outside.run("benchmark", "scan")
    after = scans(outside.root)
    assert [corpus for corpus in before if before[corpus] != after[corpus]] == ["drips-16000"]


def scans(root: Path) -> dict[str, str]:
    """What each corpus's preparation depends on."""
    return {file.stem: file.read_text() for file in sorted((root / "build" / "standin" / "scan").glob("*.json"))}
