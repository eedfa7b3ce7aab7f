"""Finds plugins by name: in-tree modules and installed packages' entry points alike, importing nothing until asked.

In-tree, a module's file name is the id and the object it exposes is fixed by its kind (``METHOD``, ``ENCODER``, ``TASK``,
``DATASET``). Outside packages declare entry points in the group ``benchmark.<kind>s``; their studies are files, see
:mod:`benchmark.studies`.
"""

from __future__ import annotations

import difflib
import importlib
import operator
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
_RECORDS = ("task", "dataset")
"""Kinds whose objects carry their own name, which the scores and the corpora carry on."""


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
        """Import the module and return the object.

        Raises:
            ConfigError: there is no such module or object, or a record calls itself by another name.
        """
        told = f"The {self.kind} {self.name!r} ({self.origin})"
        try:
            found = operator.attrgetter(self.attribute)(importlib.import_module(self.module))
        except ModuleNotFoundError as error:
            if error.name is None or not f"{self.module}.".startswith(f"{error.name}."):
                raise  # the module is there, and lacks something of its own
            raise ConfigError(f"{told}: there is no module {self.module}; mend its entry point.") from error
        except AttributeError as error:
            if error.name not in self.attribute.split("."):
                raise
            raise ConfigError(f"{told}: {self.module} exposes no {self.attribute}; add it.") from error
        if self.kind in _RECORDS and found.id != self.name:
            raise ConfigError(f"{told}: its record's id is {found.id!r}; the two must be equal.")
        return found


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
    by_name: dict[str, Plugin] = {}
    for plugin in sorted([*_in_tree(kind), *_entry_points(kind)], key=lambda p: p.name):
        if other := by_name.get(plugin.name):
            raise ConfigError(
                f"Two {kind}s are called {plugin.name!r} ({other.module}, {other.origin}, and {plugin.module}, "
                f"{plugin.origin}); rename one of them."
            )
        by_name[plugin.name] = plugin
    return by_name


def packages() -> set[str]:
    """The top-level packages that hold plugins; their code counts as the project's own."""
    return {plugin.module.split(".")[0] for kind in KINDS for plugin in plugins(kind).values()}


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
