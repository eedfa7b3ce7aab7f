"""A stage's code hash sees what can change its result, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import closure, registry
from benchmark.errors import ConfigError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin package: entry -> used, beside an unused module."""
    folder = tmp_path / "plugin_pkg"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""A plugin."""\n')
    (folder / "entry.py").write_text(
        '"""Entry."""\nfrom typing import TYPE_CHECKING\nfrom benchmark import Task\n'
        "if TYPE_CHECKING:\n    from plugin_pkg import typing_only\n\n"
        'def run():\n    """Say."""\n    from plugin_pkg.used import value  # nested\n    return value\n'
    )
    (folder / "used.py").write_text("from plugin_pkg import helper\nvalue = 1\n")
    (folder / "helper.py").write_text("constant = 1\n")
    (folder / "unused.py").write_text("other = 1\n")
    (folder / "typing_only.py").write_text("other = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("plugin_pkg")]:
        del sys.modules[name]


def fresh_hash() -> str:
    for function in (closure.locate, closure._file, closure._read):
        function.cache_clear()
    return closure.code_hash(["plugin_pkg.entry"])


def test_nested_imports_and_the_public_face_are_followed(package: Path):
    found = closure.closure(["plugin_pkg.entry"])
    assert {"plugin_pkg.entry", "plugin_pkg.used", "benchmark.records"} <= set(found)
    assert not {"plugin_pkg.unused", "plugin_pkg.typing_only", "benchmark"} & set(found)


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("entry.py", "# nested", "# a comment reworded", False),
        ("entry.py", '"""Say."""', '"""Say it better."""', False),
        ("entry.py", "\n\ndef", "\n\n\n\ndef", False),
        ("unused.py", "1", "2", False),
        ("used.py", "1", "2", True),
        ("helper.py", "1", "2", True),
        ("__init__.py", '"""A plugin."""', "import math", True),
        ("entry.py", "return value", "return value + 1", True),
    ],
)
def test_only_edits_that_can_change_a_result_change_the_hash(
    package: Path, file: str, old: str, new: str, changes: bool
):
    before = fresh_hash()
    text = (package / file).read_text()
    assert old in text
    (package / file).write_text(text.replace(old, new))
    assert (fresh_hash() != before) == changes


def test_a_package_that_declares_a_plugin_is_followed_from_another(package: Path, monkeypatch: pytest.MonkeyPatch):
    other = package.with_name("other_pkg")
    other.mkdir()
    (other / "__init__.py").write_text("from plugin_pkg import used\n")
    closure.locate.cache_clear()
    assert "plugin_pkg.used" not in closure.closure(["other_pkg"])
    monkeypatch.setattr(registry, "packages", lambda: {"plugin_pkg"})
    assert {"plugin_pkg.used", "plugin_pkg.helper"} <= set(closure.closure(["other_pkg"]))


def test_a_syntax_error_names_file_and_line(package: Path):
    (package / "used.py").write_text("value = = 1\n")
    with pytest.raises(ConfigError, match=r"used\.py, line 1: invalid syntax"):
        fresh_hash()


def test_one_method_does_not_reach_another_nor_reporting():
    found = closure.closure(["benchmark.pretraining.stage", "methods.simclr"])
    assert "methods.simclr" in found
    assert not [module for module in found if module.startswith("benchmark.reporting")]
    assert "methods.supervised" not in found


@pytest.mark.parametrize(
    "entry",
    ["benchmark.cli", "benchmark.corpus.prepare", "benchmark.plan", "benchmark.reporting.report", "benchmark.stages"],
)
def test_what_needs_no_torch_does_not_import_it(entry: str):
    code = f"import sys, {entry}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
