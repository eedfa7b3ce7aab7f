"""The pipeline as its users drive it: what runs again and what does not. Tests build on each other, in this order."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal

import psutil
import pytest

from tests.pipeline.project import PROFILE, Project
from tests.waiting import wait_until

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
    assert project.repro() == set()


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


def test_a_crash_fails_and_the_other_runs_go_on(project: Project):
    call = "        calibrate_batchnorm(self.encoder"
    project.edit("methods/untrained.py", call, f"        raise RuntimeError('planted crash')\n{call}")
    project.edit("methods/simclr.py", "EDITED = 2", "EDITED = 3")
    done = project.run("dvc", "repro", "--keep-going", check=False)
    assert done.returncode != 0
    assert "RuntimeError: planted crash" in done.stdout
    assert "Running stage 'evaluate@standin-simclr-0'" in done.stdout
    assert "Running stage 'aggregate@standin'" not in done.stdout


def test_side_by_side_too_a_crash_is_told_and_the_other_runs_go_on(project: Project):
    project.edit("methods/simclr.py", "EDITED = 3", "EDITED = 4")
    scores = project.root / "build" / "standin" / "evaluations" / "simclr-0" / "scores.csv"
    before = scores.stat().st_mtime_ns
    done = project.alone.run("benchmark", "repro", "--jobs", "2", check=False)
    assert done.returncode == 2
    assert "RuntimeError: planted crash" in done.stdout
    assert "error: Some runs failed, for the reason above; everything else is kept" in done.stdout
    assert scores.stat().st_mtime_ns > before
    assert "Running stage 'aggregate@standin'" not in done.stdout


def test_an_interrupt_stops_every_stage_that_runs_side_by_side(project: Project):
    params = (project.root / "params.yaml").read_text()
    endless = {**PROFILE["runs"]["default"], "steps": 1_000_000}
    project.change_profile("standin", {"runs": {"default": endless}})
    process = project.alone.start("benchmark", "repro", "--jobs", "2")
    stage = training(project, process.pid)
    try:
        os.kill(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 130, output
        assert "Interrupted; everything finished is kept" in output
        assert not stage.is_running()
    finally:
        process.kill()
        with contextlib.suppress(psutil.NoSuchProcess):
            stage.kill()
        (project.root / "params.yaml").write_text(params)


def training(project: Project, pid: int) -> psutil.Process:
    """The process below another that trains, once it has written a checkpoint."""

    def found() -> psutil.Process | None:
        if not list((project.root / ".cache" / "benchmark" / "checkpoints").glob("*/step-*.safetensors")):
            return None
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "simclr-0" in child.cmdline():
                    return child
        return None

    stage = wait_until(found, seconds=300)
    assert stage is not None
    return stage


def test_parameters_that_do_not_match_the_selected_stages_are_refused(project: Project):
    params = (project.root / "params.yaml").read_text()
    project.change_profile("standin", {"seeds": {"default": 2}})
    done = project.run("dvc", "repro", check=False)
    (project.root / "params.yaml").write_text(params)
    assert done.returncode != 0
    assert "run `benchmark select standin` first" in done.stdout
