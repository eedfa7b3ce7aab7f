"""The layout of the papers' tables, ``results/published/tables.yaml``, joined with the numbers that fill them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from benchmark.config import Config, load_yaml, validate
from benchmark.errors import ConfigError
from benchmark.published.results import (
    FOLDER,
    RESULTS_FILE,
    PublishedResult,
    Settings,
    Unit,
    load_settings,
    read_published_results,
)

TABLES_FILE = FOLDER / "tables.yaml"
Decimals = Annotated[int, Field(ge=0)]
Index = Annotated[int, Field(ge=0)]


class FormatOverride(Config):
    """What a column or a cell prints differently from its table."""

    row: str | None = None
    column: str | None = None
    decimals: Decimals | None = None
    unit: Unit | None = None
    uncertainty_decimals: Decimals | None = None
    missing: str | None = None


class CellFormat(Config):
    """How a table prints its numbers."""

    decimals: Decimals
    unit: Unit
    uncertainty_decimals: Decimals | None = Field(description="set: printed as value ± uncertainty")
    missing: str | None = Field(description="printed where there is no number; null: there always is one")
    by_column: dict[str, FormatOverride] = Field(default_factory=dict)
    exceptions: tuple[FormatOverride, ...] = ()

    def at(self, row: str, column: str) -> CellFormat:
        """The format of one cell: the table's, then its column's, then that of the exceptions that name it."""
        named = [e for e in self.exceptions if e.row in {None, row} and e.column in {None, column}]
        overrides = [*([self.by_column[column]] if column in self.by_column else []), *named]
        updates = [o.model_dump(exclude_unset=True, exclude={"row", "column"}) for o in overrides]
        return self.model_copy(update={key: value for update in updates for key, value in update.items()})

    def number(self, value: float) -> str:
        """A value in the unit of the cell."""
        return f"{value:.{self.decimals}f}"

    def text(self, result: PublishedResult) -> str:
        """A number as the paper prints it."""
        if self.uncertainty_decimals is None or result.uncertainty is None:
            return self.number(result.value)
        return f"{self.number(result.value)} ± {result.uncertainty:.{self.uncertainty_decimals}f}"

    def reads_back(self, result: PublishedResult) -> bool:
        """Whether what is printed is the number itself, in its own unit."""
        stated = [(result.value, self.decimals), (result.uncertainty, self.uncertainty_decimals)]
        return result.unit == self.unit and all(
            (value is None) == (decimals is None) and (value is None or value == float(f"{value:.{decimals}f}"))
            for value, decimals in stated
        )


class ColumnLayout(Config):
    """A column: the row's label, a fixed text of the row, or numbers."""

    kind: Literal["label", "static", "value"]
    key: str = Field("", description="of row.static, or of the csv column")
    header: str

    @model_validator(mode="after")
    def _keyed(self) -> ColumnLayout:
        if (self.kind == "label") != (not self.key):
            raise ValueError(f"a {self.kind} column has {'no' if self.kind == 'label' else 'a'} key")
        return self


class RowLayout(Config):
    """A row of numbers, or a sub-heading (``group`` alone)."""

    group: str | None = None
    key: str = ""
    label: str = ""
    where: dict[str, str] = Field(default_factory=dict)
    static: dict[str, str] = Field(default_factory=dict)
    suffix: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _either(self) -> RowLayout:
        if (self.group is not None) == bool(self.key):
            raise ValueError("a row has a group alone, or a key")
        if unknown := set(self.where) - set(PublishedResult.model_fields):
            raise ValueError(f"where names {min(unknown)!r}, which is no column of {RESULTS_FILE.name}")
        return self


class BlockLayout(Config):
    """One block of a table; ``position`` is its row and column among the blocks of the page."""

    position: tuple[Index, Index]
    title: str = ""
    header: tuple[tuple[str, ...], ...] = Field((), description="header lines above the columns' own")
    columns: tuple[ColumnLayout, ...]
    rows: tuple[RowLayout, ...]

    @model_validator(mode="after")
    def _fits(self) -> BlockLayout:
        if any(len(line) != len(self.columns) for line in self.header):
            raise ValueError("a header line has not as many cells as there are columns")
        static = {column.key for column in self.columns if column.kind == "static"}
        for row in self.numbered:
            if set(row.static) != static:
                raise ValueError(f"row {row.key!r} states other static texts than the columns ask for")
            if unknown := set(row.suffix) - {column.key for column in self.values}:
                raise ValueError(f"row {row.key!r} has a suffix for the unknown column {min(unknown)!r}")
        return self

    @property
    def values(self) -> list[ColumnLayout]:
        """The columns of numbers."""
        return [column for column in self.columns if column.kind == "value"]

    @property
    def numbered(self) -> list[RowLayout]:
        """The rows that are no sub-headings."""
        return [row for row in self.rows if row.group is None]


class TableLayout(Config):
    """A table of numbers."""

    caption: str
    section: str
    cell_format: CellFormat
    row_order: tuple[str, ...]
    column_order: tuple[str, ...]
    printed_as_table: bool = Field(True, description="false: numbers of running text, set as a table here")
    blocks: tuple[BlockLayout, ...]
    extraction_notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> TableLayout:
        rows = {row.key for block in self.blocks for row in block.numbered}
        columns = {column.key for block in self.blocks for column in block.values}
        for name, stated, used in [("row", self.row_order, rows), ("column", self.column_order, columns)]:
            if differing := set(stated) ^ used:
                raise ValueError(f"{name}_order and the blocks do not both have {min(differing)!r}")
        if len({block.position for block in self.blocks}) < len(self.blocks):
            raise ValueError("two blocks have one position")
        return self


class PlainTable(Config):
    """A table without results."""

    caption: str
    section: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class PaperLayout(Config):
    """The tables of one paper."""

    text: str
    title: str
    tables: dict[str, TableLayout]
    tables_without_results: dict[str, PlainTable] = Field(default_factory=dict)


class Conflict(Config):
    """Where a paper contradicts itself."""

    paper: str
    where: str
    what: str


class Layouts(Config):
    """``tables.yaml``."""

    reading: dict[str, str] = Field(alias="schema", description="how to read the file")
    papers: dict[str, PaperLayout]
    conflicts: tuple[Conflict, ...]
    cross_paper_quotes: tuple[dict[str, str], ...] = Field(description="a system's number in several papers")


@dataclass(frozen=True)
class Place:
    """One cell of numbers in a table's layout."""

    paper: str
    table: str
    row: RowLayout
    column: ColumnLayout
    format: CellFormat


@dataclass(frozen=True)
class Published:
    """Layouts and numbers, checked against each other."""

    layouts: Layouts
    settings: Settings
    cells: dict[tuple[str, str, str, str], list[PublishedResult]]
    """(paper, table, row, column) -> the numbers there; several where a row's ``where`` tells them apart."""

    def result(self, place: Place) -> PublishedResult | None:
        """The number at a place; None where the paper prints none.

        Raises:
            ConfigError: there are several, or there is none and the table says that there always is one.
        """
        at = self.cells.get((place.paper, place.table, place.row.key, place.column.key), [])
        found = [r for r in at if all(getattr(r, column) == value for column, value in place.row.where.items())]
        if len(found) > 1 or (not found and place.format.missing is None):
            raise ConfigError(
                f"{RESULTS_FILE}: {len(found)} rows, not one, for {place.paper} {place.table}, row {place.row.key!r} "
                f"{place.row.where or ''}, column {place.column.key!r}."
            )
        return found[0] if found else None

    def places(self) -> Iterator[Place]:
        """Every cell of numbers of every table."""
        for paper, layout in self.layouts.papers.items():
            for name, table in layout.tables.items():
                for block in table.blocks:
                    for row, column in product(block.numbered, block.values):
                        yield Place(paper, name, row, column, table.cell_format.at(row.key, column.key))


def load_published(root: Path) -> Published:
    """The papers' tables with their numbers.

    Raises:
        ConfigError: a file is missing or malformed; a cell has no number, or several; a number of a laid-out table is
            in no cell, or in two; or its format would not print it exactly.
    """
    layouts = validate(Layouts, load_yaml(root / TABLES_FILE), str(TABLES_FILE))
    settings = load_settings(root)
    cells = defaultdict(list)
    for result in read_published_results(root, settings):
        cells[result.paper, result.table, result.row, result.column].append(result)
    published = Published(layouts, settings, dict(cells))
    _require_each_once(published)
    return published


def _require_each_once(published: Published) -> None:
    used: Counter[int] = Counter()
    for place in published.places():
        result = published.result(place)
        if result is None:
            continue
        used[id(result)] += 1
        if not place.format.reads_back(result):
            raise ConfigError(
                f"{TABLES_FILE}: the cell format of {result.place} does not print {result.value} {result.unit}."
            )
    laid_out = {(p, name) for p, layout in published.layouts.papers.items() for name in layout.tables}
    for result in (result for cell in published.cells.values() for result in cell):
        if (result.paper, result.table) in laid_out and used[id(result)] != 1:
            raise ConfigError(f"{TABLES_FILE}: {result.place} is laid out {used[id(result)]} times, not once.")
