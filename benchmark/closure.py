"""Code closures: a hash of exactly the source that a stage can reach, blind to comments, docstrings and layout.

The closure of some entry modules is every first-party module they import, directly or not, at any depth of nesting, with the
packages around each, which run before it. First-party are the engine, the tree's plugins and every package that declares a
plugin, so an outside method is followed as one of the tree's is. Names taken from the public face (``from benchmark import
Encoder``) resolve to the module that defines them, so a method depends on what it uses and not on the whole engine. Nothing is
imported: files are only parsed (:mod:`benchmark.source`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from benchmark import registry
from benchmark.artifacts import content_hash
from benchmark.errors import ConfigError
from benchmark.source import Source, read_source

_FIRST_PARTY = ("benchmark", "methods", "tasks")
_WITHOUT_CODE = ("benchmark",)  # the public face only forwards names; following it would reach everything


def code_hash(entries: Iterable[str]) -> str:
    """Hash of the closure of the ``entries`` (module names)."""
    return content_hash({module: _read(module).fingerprint for module in closure(entries)})


def closure(entries: Iterable[str]) -> list[str]:
    """All modules reachable from ``entries``, sorted.

    Raises:
        ConfigError: an entry cannot be found.
    """
    entries = list(entries)
    packages = {*_FIRST_PARTY, *registry.packages(), *(entry.split(".")[0] for entry in entries)}
    seen: set[str] = set()
    frontier = entries
    while frontier:
        seen.update(frontier)
        found = {name for module in frontier for name in (*_imports(module), *_parents(module))}
        frontier = sorted({name for name in found - seen if name.split(".")[0] in packages and locate(name)})
    return sorted(seen - set(_WITHOUT_CODE))


@cache
def _file(module: str) -> Path:
    path = locate(module)
    if path is None:
        raise ConfigError(f"Module {module} cannot be found; reinstall the package that declares it.")
    return path


@cache
def locate(module: str) -> Path | None:
    """A module's file, or None; found on disk, as asking the import system for a submodule would import its parents."""
    top, *below = module.split(".")
    spec = find_spec(top)
    if spec is None:
        return None
    for folder in spec.submodule_search_locations or []:
        path = Path(folder, *below)
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
    return Path(spec.origin) if spec.origin and not below else None


def _parents(module: str) -> list[str]:
    """The packages around a module that have a file of their own."""
    parts = module.split(".")
    return [parent for end in range(1, len(parts)) if locate(parent := ".".join(parts[:end]))]


def _imports(module: str) -> list[str]:
    return [] if module in _WITHOUT_CODE else _read(module).imports


@cache
def _read(module: str) -> Source:
    path = _file(module)
    return read_source(path, module if path.name == "__init__.py" else module.rpartition(".")[0])
