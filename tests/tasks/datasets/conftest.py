"""Copies of stand-ins to break."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark import registry
from tests.tasks.test_fuzzing import skeleton

CopyOf = Callable[[str], Path]


@pytest.fixture
def copy_of(root: Path, tmp_path: Path) -> CopyOf:
    """A dataset's stand-in in a folder of its own, its audio files empty."""

    def copy(name: str) -> Path:
        skeleton(registry.load("dataset", name), root, tmp_path / name)
        return tmp_path / name

    return copy
