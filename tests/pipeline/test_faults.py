"""A stage that crashes, and an interrupt: what fails says so, everything else goes on. Tests build on each other."""

from __future__ import annotations

import contextlib
import os
import signal

import psutil
import pytest

from tests.pipeline.project import PROFILE, Project
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FIRST_LINE = "from __future__ import annotations"


def test_a_crash_fails_and_the_other_runs_go_on(project: Project):
    call = "        calibrate_batchnorm(self.encoder"
    project.edit("methods/untrained.py", call, f"        raise RuntimeError('planted crash')\n{call}")
    project.edit("methods/simclr.py", FIRST_LINE, f"{FIRST_LINE}\n\nEDITED = 1")
    done = project.run("dvc", "repro", "--keep-going", check=False)
    assert done.returncode != 0
    assert "RuntimeError: planted crash" in done.stdout
    assert "Running stage 'evaluate@standin-simclr-0'" in done.stdout
    assert "Running stage 'aggregate@standin'" not in done.stdout


def test_side_by_side_too_a_crash_is_told_and_the_other_runs_go_on(project: Project):
    project.edit("methods/simclr.py", "EDITED = 1", "EDITED = 2")
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
