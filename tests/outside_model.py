"""The example of an outside model, importable as such: a module that is no part of the project, and its weights."""

from __future__ import annotations

import importlib
import shutil
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "examples" / "outside_model" / "logmel_projection.py"


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str = "logmel_projection") -> types.ModuleType:
    """Put a copy of the example on the path under the name ``module``, and import it."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOURCE, folder / f"{module}.py")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, module, raising=False)  # an earlier test's copy
    return importlib.import_module(module)
