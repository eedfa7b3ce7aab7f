from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A project with a copy of the published files, to be spoilt."""
    shutil.copytree(ROOT / "results" / "published", tmp_path / "results" / "published")
    shutil.copy(ROOT / "results" / "errata.yaml", tmp_path / "results")
    return tmp_path


def spoil(file: Path, old: str, new: str) -> None:
    """Replace the first ``old`` of a file."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
