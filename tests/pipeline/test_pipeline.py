"""The pipeline as its users drive it: what runs again and what does not. Tests build on each other, in this order."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.pipeline.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_everything_comes_out_and_a_second_run_does_nothing(project: Project):
    results = project.root / "results" / "standin"
    for suffix in ("csv", "md", "tex"):
        assert "Log-mel statistics" in (results / "tables" / "tiny" / f"accuracy.{suffix}").read_text()
    page = (results / "report" / "index.html").read_text()
    assert "Stand-in data" in page
    assert (
        "https://" not in page.replace("https://www.w3.org", "").replace("http://www.w3.org", "") or "src=" not in page
    )
    assert project.repro() == set(), "what several processes of DVC have done is done for one"


def test_editing_a_plot_or_a_docstring_or_another_method_trains_nothing(project: Project):
    project.edit(
        "benchmark/reporting/figures.py",
        "from __future__ import annotations",
        "from __future__ import annotations\n\nEDITED = 1",
    )
    project.edit(
        "methods/supervised.py",
        "from __future__ import annotations",
        "from __future__ import annotations\n\nEDITED = 1",
    )
    project.edit("methods/simclr.py", '"""', '"""Reworded. ')
    ran = {stage.split("@")[0] for stage in project.repro()}
    assert not ran & {"prepare", "pretrain", "evaluate", "aggregate"}


def test_editing_a_method_trains_it_and_nothing_else(project: Project):
    project.edit(
        "methods/simclr.py", "from __future__ import annotations", "from __future__ import annotations\n\nEDITED = 2"
    )
    ran = project.repro()
    assert {stage for stage in ran if stage.startswith(("prepare", "pretrain", "evaluate"))} == {
        "pretrain@standin-simclr-0",
        "evaluate@standin-simclr-0",
    }


def test_switching_profiles_and_back_runs_nothing_and_missing_data_is_not_a_failure(project: Project):
    project.select("real")
    assert "pretrain@real-simclr-0" in project.repro()
    run = json.loads((project.root / "build" / "real" / "runs" / "simclr-0" / "run.json").read_text())
    assert run["status"] == "not run"
    assert "nsynth" in run["reason"]
    project.select("standin")
    assert project.repro() == set()


def test_data_that_appears_later_runs_just_what_waited_for_it(project: Project):
    standin = project.root / "data" / "standin" / "standin"
    project.select("real")
    shutil.copytree(standin / "fsdd", project.root / "raw" / "free-spoken-digit-dataset-master")
    ran = project.repro()
    assert {stage for stage in ran if stage.startswith(("prepare", "pretrain"))} <= {"prepare@real-fsdd-16000"}
    assert "evaluate@real-features-0" in ran
    scores = (project.root / "results" / "real" / "scores" / "scores.csv").read_text()
    assert ",ok," in scores
    assert "not run" in scores
    project.select("standin")


def test_one_value_can_be_overridden_by_dvc_exp_run(project: Project):
    project.commit()
    output = project.run("dvc", "exp", "run", "-S", "profiles.standin.runs.default.steps=4").stdout
    assert "Running stage 'pretrain@standin-simclr-0'" in output
    assert "Running stage 'pretrain@standin-features-0'" not in output
    job = json.loads((project.root / "build" / "standin" / "plan" / "pretrain" / "simclr-0.json").read_text())
    assert job["training"]["steps"] == 4
    assert "accuracy" in project.run("dvc", "metrics", "show").stdout
    assert "pretrain@standin-simclr-0" in project.run("dvc", "dag").stdout
    assert "profiles.standin.runs.default.steps" in project.run("dvc", "exp", "show", "--csv").stdout
    assert (project.root / "dvc_plots" / "index.html").exists() or "file://" in project.run(
        "dvc", "plots", "show"
    ).stdout


def test_parameters_that_do_not_match_the_selected_stages_are_refused(project: Project):
    params = (project.root / "params.yaml").read_text()
    project.change_profile("standin", {"seeds": {"default": 2}})
    done = project.run("dvc", "repro", check=False)
    (project.root / "params.yaml").write_text(params)
    assert done.returncode != 0
    assert "run `benchmark select standin` first" in done.stdout
