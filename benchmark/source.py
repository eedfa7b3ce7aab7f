"""What a module's file says to whoever depends on it, parsed once: processes remember it for each other.

What is remembered of a file holds where its bytes and everything else that decides the answer are as they were.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from benchmark import EXPORTS
from benchmark.artifacts import content_hash, read_json, write_json
from benchmark.errors import ConfigError, CorruptArtifactError, StaleArtifactError


@dataclass(frozen=True)
class Source:
    """What is known of a file."""

    key: str
    """Hash of all that decides the rest."""
    fingerprint: str
    """Hash of the syntax tree without docstrings and positions."""
    imports: list[str]
    """Modules that are imported at run time, at any depth of nesting, and names in them that may be modules; sorted."""


_known: dict[str, Source] = {}
"""By path, the last of each."""


def read_source(path: Path, package: str) -> Source:
    """What the file says as a module of ``package``, or as that package itself.

    Raises:
        ConfigError: it does not parse.
    """
    content = path.read_bytes()
    key = content_hash([_scheme(), package, hashlib.sha256(content).hexdigest()])
    known = _known.get(str(path))
    if known is None or known.key != key:
        tree = _parsed(path, content)
        imports = _imports(tree, package)  # before docstrings are taken out of the tree
        known = _known[str(path)] = Source(key, _fingerprint(tree), imports)
    return known


@contextmanager
def remembered(cache: Path) -> Iterator[None]:
    """Within the block, files are not parsed that an earlier process has parsed; ``cache`` is the folder that they share."""
    file = cache / "sources.json"
    kept = _kept(file)
    _known.update(kept)
    yield
    if _known != kept:
        sources = {path: asdict(source) for path, source in _known.items()}
        write_json(file, {"sources": sources, "checksum": content_hash(sources)})


def _kept(file: Path) -> dict[str, Source]:
    """What is remembered: nothing where the file is absent or damaged, as all of it can be found out again."""
    try:
        record = read_json(file)
        sources = record["sources"]
        intact = record["checksum"] == content_hash(sources)
        return {path: Source(**source) for path, source in sources.items()} if intact else {}
    except (StaleArtifactError, CorruptArtifactError, KeyError, TypeError):
        return {}


@cache
def _scheme() -> str:
    """Hash of what decides the answer beside the file itself: Python's grammar, the public face and the code below."""
    return content_hash([sys.version, EXPORTS, hashlib.sha256(Path(__file__).read_bytes()).hexdigest()])


def _parsed(path: Path, content: bytes) -> ast.Module:
    try:
        return ast.parse(content.decode("utf-8"), filename=str(path))
    except SyntaxError as error:
        raise ConfigError(
            f"{path}, line {error.lineno}: {error.msg}; mend the file and run the same command again."
        ) from error


def _fingerprint(tree: ast.Module) -> str:
    """Hash of a syntax tree without docstrings, which are taken out of it, and positions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _has_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return content_hash(ast.dump(tree, annotate_fields=False))


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _imports(tree: ast.Module, package: str) -> list[str]:
    """Modules that are imported at run time; imports for type checkers only are left out."""
    found: set[str] = set()
    for node in _runtime_nodes(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(_targets(node, package))
    return sorted(found)


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
