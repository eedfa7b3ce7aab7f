"""Imports point one way, and plugins see only the engine's public face."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ["published", "corpus", "signal", "pretraining", "evaluation", "statistics", "reporting"]
ABOVE = {
    "cli",
    "commands",
    "accepted",
    "perturbed",
    "stages",
    "plan",
    "overview",
    "smoke",
    "selection",
    "resolve",
    "repro",
}


def imported(file: Path) -> set[str]:
    """Modules named by the file's import statements, ``from x import y`` as both ``x`` and ``x.y``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_nothing_above_it(layer: str):
    forbidden = {f"benchmark.{name}" for name in [*LAYERS[LAYERS.index(layer) + 1 :], *ABOVE]}
    for file in (ROOT / "benchmark" / layer).rglob("*.py"):
        assert not imported(file) & forbidden, file


def test_the_engine_never_imports_plugins():
    for file in (ROOT / "benchmark").rglob("*.py"):
        assert not {name for name in imported(file) if name.split(".")[0] in {"methods", "tasks"}}, file


@pytest.mark.parametrize("package", ["methods", "tasks", "examples/acoustic_plugin/acoustic_plugin"])
def test_plugins_import_only_the_public_face(package: str):
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "benchmark":
                assert node.module == "benchmark", f"{file} imports {node.module}"


def test_every_public_name_exists():
    import benchmark

    for name in benchmark.EXPORTS:
        assert getattr(benchmark, name) is not None
