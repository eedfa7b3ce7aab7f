"""Errata and deviations: ``results/errata.yaml`` joined with the conflicts that ``tables.yaml`` lists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from benchmark.config import Config, load_yaml, validate
from benchmark.errors import ConfigError
from benchmark.published.layout import TABLES_FILE, Conflict, Layouts

ERRATA_FILE = Path("results") / "errata.yaml"
Status = Literal["implemented", "not yet"]


class Entry(Config):
    """What all entries share."""

    paper: str


class Consequence(Entry):
    """What a conflict of ``tables.yaml`` means here."""

    contains: str = Field(description="a phrase that one conflict of the paper has, and no other")
    consequence: str


class Misprint(Entry):
    """A slip in a paper, or a place where its released code does something else than its text."""

    where: str
    what: str
    consequence: str
    status: Status


class Choice(Entry):
    """Something that a paper does not say."""

    topic: str
    unstated: str
    choice: str
    reason: str
    source: str = Field(description="section of the paper, or the public code that was read")
    status: Status
    where: str = Field("", description="the file that implements it")

    @model_validator(mode="after")
    def _located(self) -> Choice:
        if (self.status == "implemented") != bool(self.where):
            raise ValueError(
                f"a choice that is {self.status} names {'the' if self.status == 'implemented' else 'no'} file"
            )
        return self


class Deviation(Entry):
    """Where our code departs from what a paper does say."""

    where: str = Field(description="the file that does")
    published: str
    ours: str
    reason: str


class ErrataFile(Config):
    """``results/errata.yaml``."""

    conflicts: tuple[Consequence, ...]
    misprints: tuple[Misprint, ...]
    choices: tuple[Choice, ...]
    deviations: tuple[Deviation, ...]


@dataclass(frozen=True)
class Errata:
    """Everything that a reader of the results should know of papers and code."""

    conflicts: list[tuple[Conflict, str]]
    """Each conflict of ``tables.yaml`` and what it means here."""
    cross_paper_quotes: list[dict[str, str]]
    misprints: tuple[Misprint, ...]
    choices: tuple[Choice, ...]
    deviations: tuple[Deviation, ...]


def load_errata(root: Path) -> Errata:
    """The errata of the project at ``root``, every file that they name being there.

    Raises:
        ConfigError: as :func:`read_errata`, or an entry names a file that is not there.
    """
    errata = read_errata(root)
    for file in [*(choice.where for choice in errata.choices), *(deviation.where for deviation in errata.deviations)]:
        if file and not (root / file).is_file():
            raise ConfigError(f"{ERRATA_FILE}: {file} is no file of this project.")
    return errata


def read_errata(root: Path) -> Errata:
    """The errata of the project at ``root``, to be shown: a project may have left out a file that they name.

    Raises:
        ConfigError: an entry is malformed or names an unknown paper, or a conflict has no consequence or several; one
            sentence that names the entry.
    """
    layouts = validate(Layouts, load_yaml(root / TABLES_FILE), str(TABLES_FILE))
    errata = validate(ErrataFile, load_yaml(root / ERRATA_FILE), str(ERRATA_FILE))
    entries: list[Entry] = [*errata.conflicts, *errata.misprints, *errata.choices, *errata.deviations]
    if unknown := {entry.paper for entry in entries} - set(layouts.papers):
        raise ConfigError(f"{ERRATA_FILE}: {min(unknown)!r} is no paper of {TABLES_FILE}.")
    return Errata(
        conflicts=_joined(layouts.conflicts, errata.conflicts),
        cross_paper_quotes=[dict(quote) for quote in layouts.cross_paper_quotes],
        misprints=errata.misprints,
        choices=errata.choices,
        deviations=errata.deviations,
    )


def _joined(conflicts: tuple[Conflict, ...], consequences: tuple[Consequence, ...]) -> list[tuple[Conflict, str]]:
    found: dict[int, str] = {}
    for entry in consequences:
        meant = [n for n, c in enumerate(conflicts) if c.paper == entry.paper and entry.contains in c.what]
        if len(meant) != 1:
            raise ConfigError(
                f"{ERRATA_FILE}: {entry.contains!r} is in {len(meant)} conflicts of {entry.paper}, not in one."
            )
        if meant[0] in found:
            raise ConfigError(
                f"{ERRATA_FILE}: {entry.contains!r} names a conflict of {entry.paper} that another entry names."
            )
        found[meant[0]] = entry.consequence
    if silent := [conflict for number, conflict in enumerate(conflicts) if number not in found]:
        raise ConfigError(f"{ERRATA_FILE}: no consequence for the conflict of {silent[0].paper}, {silent[0].where!r}.")
    return [(conflict, found[number]) for number, conflict in enumerate(conflicts)]
