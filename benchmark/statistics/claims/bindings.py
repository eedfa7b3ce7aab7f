"""Stand-ins for what a claim names: other tasks, methods or scales. What is evaluated through one is a proxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import model_validator

from benchmark.config import Config, load_yaml, validate
from benchmark.errors import ConfigError
from benchmark.statistics.claims.grammar import COLUMNS, Choice, Claim, Column


class Binding(Config):
    """Ids of our scores in place of a claim's, for the named claims, or for all of a paper's, or for all."""

    because: str
    claims: tuple[str, ...] | None = None
    papers: tuple[str, ...] | None = None
    study: str | None = None
    replace: dict[Column, dict[str, str]] = {}  # noqa: RUF012 (pydantic copies it)

    @model_validator(mode="after")
    def _one_to_one(self) -> Binding:
        for column, ids in self.replace.items():
            if len(set(ids.values())) < len(ids):
                raise ValueError(f"two values of {column} are bound to one, which would be compared with itself")
        return self

    def serves(self, claim: Claim) -> bool:
        """Whether the claim is one of those it is for."""
        named = self.claims is None or claim.id in self.claims
        return named and (self.papers is None or claim.paper in self.papers)

    def applied(self, where: Mapping[str, Choice]) -> dict[str, Choice]:
        """A selection with every bound id replaced."""
        result = dict(where)
        for column in COLUMNS:
            ids: Mapping[str, str] = self.replace.get(column, {})  # type: ignore[call-overload]
            if ids and column in result:
                value = result[column]
                result[column] = (
                    ids.get(value, value) if isinstance(value, str) else tuple(ids.get(v, v) for v in value)
                )
        return result | ({"study": self.study} if self.study else {})

    def departures(self, claim: Claim) -> list[str]:
        """What of the claim it replaces, in words."""
        named = {value for values in claim.needs.model_dump().values() for value in values}
        changed = [f"{old} -> {new}" for ids in self.replace.values() for old, new in ids.items() if old in named]
        return [*changed, *([f"scores of study {self.study}"] if self.study else []), self.because]


class Bindings(Config):
    """A file of bindings; the first that serves a claim is used."""

    bindings: tuple[Binding, ...]


def load_bindings(path: Path, claims: Sequence[Claim]) -> tuple[Binding, ...]:
    """The bindings of a YAML file.

    Raises:
        ConfigError: it is missing or wrong, or names a claim that does not exist.
    """
    bindings = validate(Bindings, load_yaml(path), path.name).bindings
    known = {claim.id for claim in claims}
    for name in (name for binding in bindings for name in binding.claims or ()):
        if name not in known:
            raise ConfigError(f"{path.name} binds the unknown claim {name!r}.")
    return bindings


def binding_for(claim: Claim, bindings: Sequence[Binding]) -> Binding | None:
    """The first binding that serves the claim."""
    return next((binding for binding in bindings if binding.serves(claim)), None)
