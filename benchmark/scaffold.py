"""Skeletons of plugins: files that work and are tested as they are, to be changed line by line into what is meant."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from benchmark import registry
from benchmark.artifacts import write_text
from benchmark.errors import ConfigError

TESTS: dict[registry.Kind, str] = {
    "method": "tests/methods",
    "encoder": "tests/methods/encoders",
    "task": "tests/tasks",
    "dataset": "tests/tasks/datasets",
}
"""Where the tests of each kind lie in the tree."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED = {"benchmark", "methods", "tasks", "tests", "studies", "perf"}


@dataclass(frozen=True)
class Written:
    """The files of a new skeleton, and what to do with them."""

    files: list[Path]
    next_steps: list[str]


@dataclass(frozen=True)
class _Place:
    """Where a skeleton goes and how its parts are called."""

    module: str
    module_file: Path
    test_file: Path
    package_files: dict[Path, str]
    """Further files to begin a package with, and their templates."""


def write_skeleton(kind: registry.Kind, name: str, root: Path, outside: bool = False) -> Written:
    """Write the skeleton of a plugin called ``name``.

    Args:
        kind: what to begin.
        name: the plugin's id and its module's name.
        root: the checkout; with ``outside`` the folder of an installable package, begun where there is none.
        outside: whether ``root`` is a package of its own.

    Raises:
        ConfigError: the name is bad or taken, or a file to be written is already there.
    """
    check_name(kind, name)
    place = _in_package(kind, name, root) if outside else _in_tree(kind, name, root)
    texts = {
        place.module_file: f"{kind}.py.j2",
        place.test_file: f"test_{kind}.py.j2",
        **place.package_files,
    }
    for file in texts:
        if file.exists():
            raise ConfigError(f"{file} is already there and is not overwritten; choose another name or remove it.")
    _, attribute = registry.KINDS[kind]
    words = {
        "kind": kind,
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "cls": "".join(part.capitalize() for part in name.split("_")),
        "module": place.module,
        "package": place.module.split(".")[0],
        "entry": f'{name} = "{place.module}:{attribute}"',
    }
    environment = Environment(
        loader=PackageLoader("benchmark"), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    for file, template in texts.items():
        write_text(file, environment.get_template(template).render(words))
    return Written(list(texts), _next_steps(kind, name, place, root, outside, words["entry"]))


def check_name(kind: registry.Kind, name: str) -> None:
    """Check that a new plugin may be called ``name``.

    Raises:
        ConfigError: the name is bad or taken.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a {kind}: use lower-case letters, digits and underscores, a letter first, "
            "and no keyword of Python."
        )
    if name in registry.plugins(kind):
        taken = registry.find(kind, name)
        raise ConfigError(f"There is a {kind} {name!r} already ({taken.module}, {taken.origin}); choose another name.")


def _in_tree(kind: registry.Kind, name: str, root: Path) -> _Place:
    package, _ = registry.KINDS[kind]
    file = root / package.replace(".", "/") / f"{name}.py"
    return _Place(f"{package}.{name}", file, root / TESTS[kind] / f"test_{name}.py", {})


def _in_package(kind: registry.Kind, name: str, root: Path) -> _Place:
    package = re.sub(r"[-. ]", "_", root.resolve().name.lower())
    if not _NAME.fullmatch(package) or keyword.iskeyword(package) or package in _RESERVED:
        raise ConfigError(
            f"The folder {root.name!r} cannot name a package: use lower-case letters, digits and underscores, a letter first, "
            f"and none of {', '.join(sorted(_RESERVED))}."
        )
    begun = {root / "pyproject.toml": "package/pyproject.toml.j2", root / package / "__init__.py": "package/init.py.j2"}
    return _Place(
        f"{package}.{name}",
        root / package / f"{name}.py",
        root / "tests" / f"test_{name}.py",
        {} if (root / "pyproject.toml").exists() else begun,
    )


def _next_steps(kind: registry.Kind, name: str, place: _Place, root: Path, outside: bool, entry: str) -> list[str]:
    steps = []
    if outside:
        if not place.package_files:
            steps.append(f'add to {root / "pyproject.toml"}, under [project.entry-points."benchmark.{kind}s"]: {entry}')
        steps.append(f"python -m pip install --no-deps --editable {root}")
    steps += [f"edit {place.module_file}", f"python -m pytest {place.test_file}"]
    steps += {
        "method": [f"benchmark check {name}", f"add a run with `method: {name}` to a study (docs/adding.md)"],
        "encoder": [f"benchmark check simclr --encoder {name}", f"add a run with `encoder: {name}` to a study"],
        "task": [f"add {name} to the `tasks` of a study and to its runs' `evaluate` (docs/adding.md)"],
        "dataset": [f"benchmark new task {name}_task, and set its dataset to {name}"],
    }[kind]
    return steps
