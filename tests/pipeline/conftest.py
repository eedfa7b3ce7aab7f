"""One project that has run once, copied by the files of tests, and the process of which their commands are forks.

Most of a stage of these small projects would be its loading of libraries. In ``test_kill`` alone do commands start as they do
below a plain ``dvc repro``, and what they compute is held against the forks' bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import filelock
import pytest

from tests.pipeline.project import Project


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kills come first: one process is busy with them while the other makes the first run, which all tests then copy."""
    items.sort(key=lambda item: item.path.name != "test_kill.py")


@pytest.fixture(scope="session")
def first_run(shared_folder: Path, loaded: Mapping[str, str]) -> Project:
    """A project whose stand-in profile has run once, two stages at a time, for whichever process asks first.

    To be copied, and left as it is.
    """
    project, finished = Project(shared_folder / "project", loaded), shared_folder / "project.finished"
    with filelock.FileLock(shared_folder / "project.lock"):
        if not finished.exists():
            Project.create(project.root, loaded).run("benchmark", "repro", "--jobs", "2")
            finished.touch()
    return project


@pytest.fixture(scope="module")
def project(first_run: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of that project for the tests of one file, which leave their edits in it."""
    return first_run.copied(tmp_path_factory.mktemp("copy") / "project")
