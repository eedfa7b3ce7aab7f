"""What `benchmark new` writes: it passes its own tests as it is, and nothing is overwritten."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from benchmark import registry
from benchmark.errors import ConfigError
from benchmark.scaffold import TESTS, write_skeleton

ROOT = Path(__file__).parent.parent


def run(*command: str, path: Path, cwd: Path, environment: Mapping[str, str] = MappingProxyType({})) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    more = {"PYTHONPATH": os.pathsep.join([str(path), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env={**own, **more, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PYTEST = ("tests.forked", "pytest:console_main")


@pytest.mark.parametrize("kind", registry.KINDS)
def test_in_the_tree_a_skeleton_lies_where_the_registry_looks(kind: registry.Kind, tmp_path: Path):
    written = write_skeleton(kind, "new_sound", tmp_path)
    package, attribute = registry.KINDS[kind]
    module = tmp_path / package.replace(".", "/") / "new_sound.py"
    assert written.files == [module, tmp_path / TESTS[kind] / "test_new_sound.py"]
    assert f"\n{attribute} = " in module.read_text()
    assert (ROOT / TESTS[kind]).is_dir()


@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_package_declares_its_plugin(kind: registry.Kind, tmp_path: Path):
    write_skeleton(kind, "new_sound", tmp_path / "my-sounds", outside=True)
    project = tomllib.loads((tmp_path / "my-sounds" / "pyproject.toml").read_text())["project"]
    entry = f"my_sounds.new_sound:{registry.KINDS[kind][1]}"
    assert project["entry-points"] == {f"benchmark.{kind}s": {"new_sound": entry}}
    assert (tmp_path / "my-sounds" / "my_sounds" / "__init__.py").exists()


def test_a_second_plugin_joins_the_package_and_its_entry_point_is_told(tmp_path: Path):
    write_skeleton("method", "one", tmp_path / "sounds", outside=True)
    before = (tmp_path / "sounds" / "pyproject.toml").read_text()
    written = write_skeleton("task", "two", tmp_path / "sounds", outside=True)
    assert (tmp_path / "sounds" / "pyproject.toml").read_text() == before
    told = f'add to {tmp_path / "sounds" / "pyproject.toml"}, under [project.entry-points."benchmark.tasks"]: '
    assert written.next_steps[0] == told + 'two = "sounds.two:TASK"'


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Simclr", "cannot be the name of a method"),
        ("my-method", "cannot be the name of a method"),
        ("_hidden", "cannot be the name of a method"),
        ("2nd", "cannot be the name of a method"),
        ("../up", "cannot be the name of a method"),
        ("lambda", "cannot be the name of a method"),
        ("simclr", "There is a method 'simclr' already"),
    ],
)
def test_bad_names_are_refused(name: str, sentence: str, tmp_path: Path):
    with pytest.raises(ConfigError, match=sentence):
        write_skeleton("method", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["tasks", "2sounds", "my+sounds"])
def test_bad_names_of_packages_are_refused(folder: str, tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot name a package"):
        write_skeleton("method", "new_sound", tmp_path / folder, outside=True)


@pytest.mark.parametrize("file", ["tasks/new_sound.py", "tests/tasks/test_new_sound.py"])
def test_nothing_is_overwritten(file: str, tmp_path: Path):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("mine")
    with pytest.raises(ConfigError, match="is already there and is not overwritten"):
        write_skeleton("task", "new_sound", tmp_path)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]


@pytest.mark.slow
def test_skeletons_in_the_tree_pass_their_tests_and_the_linter(tmp_path: Path, loaded: Mapping[str, str]):
    for package in ("methods", "tasks", "tests"):
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    written = [write_skeleton(kind, "new_sound", tmp_path).files for kind in registry.KINDS]
    modules, tests = ([str(files[place].relative_to(tmp_path)) for files in written] for place in (0, 1))
    contracts = ["tests/tasks/test_tasks.py", "tests/tasks/test_contract.py"]
    words = ("-m", "not real_audio", "-rp", "-k", "new_sound")
    output = run(*PYTEST, *words, *tests, *contracts, path=tmp_path, cwd=tmp_path, environment=loaded)
    assert " failed" not in output
    for file in (*tests, *contracts):
        assert f"PASSED {file}" in output
    ours = 'lint.isort.known-first-party = ["benchmark", "methods", "tasks"]'  # the engine is not in this copy
    run("ruff", "check", "--no-cache", "--config", ours, *modules, *tests, path=tmp_path, cwd=tmp_path)
    run("ruff", "format", "--no-cache", "--check", *modules, *tests, path=tmp_path, cwd=tmp_path)


@pytest.mark.slow
def test_skeletons_in_a_package_pass_their_tests_before_it_is_installed(tmp_path: Path, loaded: Mapping[str, str]):
    package = tmp_path / "my-sounds"
    tests = [write_skeleton(kind, f"new_{kind}", package, outside=True).files[1] for kind in registry.KINDS]
    words = ("-p", "no:cacheprovider", "-rp")
    output = run(*PYTEST, *words, *map(str, tests), path=package, cwd=package, environment=loaded)
    for file in tests:
        assert f"PASSED {file.relative_to(package)}" in output
