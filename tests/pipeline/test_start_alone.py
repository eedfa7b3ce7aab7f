"""Commands that start alone, as they do below a plain ``dvc repro``: all of a first run, and what forks make of it."""

from __future__ import annotations

import pytest

from tests.pipeline.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="session")
def ran_alone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has run once, each of its commands by itself."""
    project = Project.create(tmp_path_factory.mktemp("alone") / "project")
    ran = {stage.split("@")[0] for stage in project.repro()}
    assert ran == {"prepare", "pretrain", "evaluate", "aggregate", "tables", "report"}
    return project


# first_run comes second: the other process of these tests makes it meanwhile
def test_they_compute_the_bytes_that_forks_do_and_then_nothing(ran_alone: Project, first_run: Project):
    assert ran_alone.scores() == first_run.scores()
    assert ran_alone.scores()
    assert ran_alone.repro() == set()
