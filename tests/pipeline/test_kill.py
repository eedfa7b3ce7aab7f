"""Kill -9 at random moments (DVC alone, the stage alone, both), run again: the same bytes as a run that nobody disturbed.

This is also the comparison of two runs from scratch: of commands that start alone, one stage at a time, as plain ``dvc repro``
has them, and of forks, two at a time. ``BENCHMARK_KILLS`` sets how many kills there are.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.pipeline.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
KILLS = int(os.environ.get("BENCHMARK_KILLS", "3"))


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The stage and all below it, the youngest first."""
    try:
        return psutil.Process(process.pid).children(recursive=True)[::-1]
    except psutil.NoSuchProcess:
        return []


def kill_dvc(process: subprocess.Popen[str]) -> None:
    process.kill()


def kill_stage(process: subprocess.Popen[str]) -> None:
    for child in children(process):
        child.kill()


def kill_both(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def disturbed(project: Project, kill: Callable[[subprocess.Popen[str]], None], after: float) -> bool:
    """Start ``dvc repro``, kill something ``after`` seconds; whether it was still running by then."""
    process = project.start("dvc", "repro")
    try:
        process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        kill(process)
        process.communicate(timeout=200)  # an orphaned stage ends by itself, or waits for nobody
        return True
    return False


def test_killed_at_random_moments_the_scores_are_the_same_bytes(request: pytest.FixtureRequest, tmp_path: Path):
    disturbances = random.Random(int(os.environ.get("BENCHMARK_KILL_SEED", "20")))
    other = Project.create(tmp_path / "killed")
    hits = 0
    for number in range(KILLS):
        kill = [kill_both, kill_stage, kill_dvc][number % 3]
        hits += disturbed(other, kill, disturbances.uniform(4, 25))
    other.repro()
    assert other.run("benchmark", "repro").stdout == "Profile standin is up to date.\n"
    assert hits > 0, "nothing was killed: the project ran faster than the kills came"
    # asked for last: the other process of these tests makes it meanwhile
    undisturbed: Project = request.getfixturevalue("first_run")
    assert other.scores() == undisturbed.scores()
    assert other.scores()
