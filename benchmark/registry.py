"""Finds plugins by name: in-tree modules and installed packages' entry points alike, importing nothing until asked.

In-tree, a module's file name is the id and the object it exposes is fixed by its kind (``METHOD``, ``ENCODER``, ``TASK``,
``DATASET``). Outside packages declare entry points in the group ``benchmark.<kind>s``.
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from benchmark.errors import ConfigError

Kind = Literal["method", "encoder", "task", "dataset"]
KINDS: dict[Kind, tuple[str, str]] = {
    "method": ("methods", "METHOD"),
    "encoder": ("methods.encoders", "ENCODER"),
    "task": ("tasks", "TASK"),
    "dataset": ("tasks.datasets", "DATASET"),
}


@dataclass(frozen=True)
class Plugin:
    """One registered name and where it lives; nothing has been imported yet."""

    kind: Kind
    name: str
    module: str
    attribute: str
    origin: str
    """``in-tree`` or the distribution that declares the entry point."""

    def load(self) -> Any:
        """Import the module and return the object."""
        return getattr(importlib.import_module(self.module), self.attribute)


def nearest(name: str, known: list[str]) -> str:
    """A hint for an unknown name: the closest known one, else all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known)) or 'none'}."


@cache
def plugins(kind: Kind) -> dict[str, Plugin]:
    """Every plugin of a kind by name, sorted.

    Raises:
        ConfigError: two plugins claim the same name.
    """
    found = [*_in_tree(kind), *_entry_points(kind)]
    by_name: dict[str, Plugin] = {}
    for plugin in sorted(found, key=lambda p: p.name):
        if other := by_name.get(plugin.name):
            raise ConfigError(
                f"Two {kind}s are called {plugin.name!r} ({other.module} and {plugin.module}); rename one of them."
            )
        by_name[plugin.name] = plugin
    return by_name


def find(kind: Kind, name: str) -> Plugin:
    """The plugin called ``name``.

    Raises:
        ConfigError: there is none; the message offers the nearest name.
    """
    known = plugins(kind)
    if name not in known:
        raise ConfigError(f"Unknown {kind} {name!r}: {nearest(name, list(known))}")
    return known[name]


def load(kind: Kind, name: str) -> Any:
    """Import the plugin called ``name`` and return its object."""
    return find(kind, name).load()


def _in_tree(kind: Kind) -> list[Plugin]:
    package, attribute = KINDS[kind]
    spec = find_spec(package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    names = sorted({file.stem for folder in folders for file in folder.glob("[!_]*.py")})
    return [Plugin(kind, name, f"{package}.{name}", attribute, "in-tree") for name in names]


def _entry_points(kind: Kind) -> list[Plugin]:
    _, attribute = KINDS[kind]
    entries = metadata.entry_points(group=f"benchmark.{kind}s")
    return [
        Plugin(kind, entry.name, entry.module, entry.attr or attribute, entry.dist.name if entry.dist else "installed")
        for entry in entries
    ]
