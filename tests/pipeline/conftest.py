"""One project that has run once, shared by the tests of the pipeline, and the scores of that first run."""

from __future__ import annotations

import shutil
from pathlib import Path

import filelock
import pytest

from tests.pipeline.project import Project, files_below


@pytest.fixture(scope="session")
def first_run(shared_folder: Path) -> tuple[Project, dict[str, bytes]]:
    """A project whose stand-in profile has run once, for whichever process asks first, and every file of its scores."""
    project, scores = Project(shared_folder / "project"), shared_folder / "first-scores"
    with filelock.FileLock(shared_folder / "project.lock"):
        if not scores.exists():
            Project.create(project.root)
            ran = {stage.split("@")[0] for stage in project.repro()}
            assert ran == {"prepare", "pretrain", "evaluate", "aggregate", "tables", "report"}
            shutil.copytree(project.scores_folder(), scores)
    return project, files_below(scores)


@pytest.fixture
def project(first_run: tuple[Project, dict[str, bytes]]) -> Project:
    """The project; the tests of one file leave their edits in it."""
    return first_run[0]


@pytest.fixture
def first_scores(first_run: tuple[Project, dict[str, bytes]]) -> dict[str, bytes]:
    """The scores of the first, undisturbed run."""
    return first_run[1]
