"""Code closures: a hash of exactly the source that a stage can reach, blind to comments, docstrings and layout.

The closure of some entry modules is every first-party module they import, directly or not, at any depth of nesting, with the
packages around each, which run before it. First-party are the engine, the tree's plugins and every package that declares a
plugin, so an outside method is followed as one of the tree's is. Names taken from the public face (``from benchmark import
Encoder``) resolve to the module that defines them, so a method depends on what it uses and not on the whole engine. Nothing is
imported: files are only parsed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from benchmark import EXPORTS, registry
from benchmark.artifacts import content_hash
from benchmark.errors import ConfigError

_FIRST_PARTY = ("benchmark", "methods", "tasks")
_WITHOUT_CODE = ("benchmark",)  # the public face only forwards names; following it would reach everything


def code_hash(entries: Iterable[str]) -> str:
    """Hash of the closure of the ``entries`` (module names)."""
    return content_hash({module: _fingerprint(_source(module)) for module in closure(entries)})


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
def _source(module: str) -> Path:
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


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise ConfigError(
            f"{path}, line {error.lineno}: {error.msg}; mend the file and run the same command again."
        ) from error


@cache
def _fingerprint(path: Path) -> str:
    """Hash of a file's syntax tree without docstrings and positions."""
    tree = _parsed(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _has_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return content_hash(ast.dump(tree, annotate_fields=False))


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _parents(module: str) -> list[str]:
    """The packages around a module that have a file of their own."""
    parts = module.split(".")
    return [parent for end in range(1, len(parts)) if locate(parent := ".".join(parts[:end]))]


@cache
def _imports(module: str) -> frozenset[str]:
    """Modules that ``module`` imports at run time, at any depth; imports for type checkers only are left out."""
    if module in _WITHOUT_CODE:
        return frozenset()
    path = _source(module)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in _runtime_nodes(_parsed(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(_targets(node, package))
    return frozenset(found)


def _runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):  # most nodes, and an import is a statement
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from _runtime_nodes(child)


def _targets(node: ast.ImportFrom, package: str) -> Iterator[str]:
    parents = package.split(".")
    base = (
        ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [node.module])])
        if node.level
        else node.module
    )
    base = base or ""
    if base == "benchmark":
        names = (EXPORTS.get(alias.name, f"benchmark.{alias.name}") for alias in node.names)
        yield from names
        return
    yield base
    yield from (f"{base}.{alias.name}" for alias in node.names)
