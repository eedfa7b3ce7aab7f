"""One project that has run once, shared by the tests of the pipeline, and the scores of that first run."""

from __future__ import annotations

import pytest

from tests.pipeline.project import Project


@pytest.fixture(scope="package")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, bytes]]:
    """A project whose stand-in profile has run once, and every file of its scores."""
    project = Project.create(tmp_path_factory.mktemp("project"))
    ran = project.repro()
    assert {stage.split("@")[0] for stage in ran} == {
        "prepare",
        "pretrain",
        "evaluate",
        "aggregate",
        "tables",
        "report",
    }
    return project, project.scores()


@pytest.fixture
def project(first_run: tuple[Project, dict[str, bytes]]) -> Project:
    """The project; tests leave their edits in it."""
    return first_run[0]


@pytest.fixture
def first_scores(first_run: tuple[Project, dict[str, bytes]]) -> dict[str, bytes]:
    """The scores of the first, undisturbed run."""
    return first_run[1]
