"""Finds and loads studies by name: files of the checkout and of installed packages alike; nothing is imported.

In the checkout, ``studies/<name>.yaml`` is the study ``<name>``. An outside package declares an entry point
``<name> = "<package>:<file>.yaml"`` in the group ``benchmark.studies``; the file lies beside the package's ``__init__.py``
and is installed as package data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmark.closure import locate
from benchmark.config import Study, load_yaml, merged, validate
from benchmark.errors import ConfigError
from benchmark.outside import with_outside
from benchmark.registry import nearest


@dataclass(frozen=True)
class StudyFile:
    """Where a study is written down."""

    name: str
    path: Path
    where: str
    """For people: the file without the machine's folders."""
    origin: str
    """``in-tree`` or the distribution that declares the entry point."""


def load_study(root: Path, name: str) -> Study:
    """A study's data file, of the checkout or of an installed package, and the outside models that are scored in it.

    Raises:
        ConfigError: unknown study (with the nearest name), or a fault inside the file or in an outside model's.
    """
    file = find_study(root, name)
    study = validate(Study, _extended(load_yaml(file.path), file.where), file.where)
    if study.id != name:
        raise ConfigError(f"{file.where}: its id is {study.id!r} and its name {name!r}; the two must be equal.")
    return with_outside(root, study)


def _extended(data: Any, where: str) -> Any:
    """The study with every run that ``extends`` another one stated in full."""
    runs = data.get("runs") if isinstance(data, dict) else None
    if not isinstance(runs, dict):
        return data

    def full(name: str, below: tuple[str, ...]) -> Any:
        run = runs[name]
        if not isinstance(run, dict) or "extends" not in run:
            return run
        base = run["extends"]
        if base not in runs or base in below:
            problem = "is not there" if base not in runs else "extends it in turn"
            raise ConfigError(f"{where}: run {name} extends {base!r}, which {problem}.")
        delta = {key: value for key, value in run.items() if key != "extends"}
        return merged(full(base, (*below, name)), delta)

    return {**data, "runs": {name: full(name, (name,)) for name in runs}}


def study_files(root: Path) -> dict[str, StudyFile]:
    """Every study by name: those of the checkout at ``root``, then those of installed packages.

    Raises:
        ConfigError: two studies have the same name, or a package lacks the file that it declares.
    """
    by_name: dict[str, StudyFile] = {}
    for study in [*_in_tree(root), *_entry_points()]:
        if other := by_name.get(study.name):
            raise ConfigError(
                f"Two studies are called {study.name!r} ({other.where} and {study.where}); rename one of them."
            )
        by_name[study.name] = study
    return by_name


def find_study(root: Path, name: str) -> StudyFile:
    """The study called ``name``.

    Raises:
        ConfigError: there is none; the message offers the nearest name.
    """
    known = study_files(root)
    if name not in known:
        raise ConfigError(f"Unknown study {name!r}: {nearest(name, list(known))}")
    return known[name]


def _in_tree(root: Path) -> list[StudyFile]:
    files = sorted((root / "studies").glob("*.yaml"))
    return [StudyFile(file.stem, file, f"studies/{file.name}", "in-tree") for file in files]


def _entry_points() -> list[StudyFile]:
    return [_declared(entry) for entry in _declarations()]


@cache
def _declarations() -> list[metadata.EntryPoint]:
    """What the installed packages declare; asked once, as Python reads a file of each of them to answer."""
    return sorted(metadata.entry_points(group="benchmark.studies"), key=lambda entry: entry.name)


def _declared(entry: metadata.EntryPoint) -> StudyFile:
    origin = entry.dist.name if entry.dist else "installed"
    package, file = locate(entry.module), entry.attr or f"{entry.name}.yaml"
    path = package.with_name(file) if package else None
    if path is None or not path.is_file():
        raise ConfigError(
            f"The study {entry.name!r} of {origin} should lie in {entry.module} as {file} and does not; "
            "list the file in the package's package-data and install it again."
        )
    return StudyFile(entry.name, path, f"{entry.module}:{file}", origin)
