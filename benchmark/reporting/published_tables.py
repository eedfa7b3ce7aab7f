"""The papers' tables as the papers lay them out, alone or with our scores in the same cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.artifacts import write_text
from benchmark.published.layout import (
    BlockLayout,
    ColumnLayout,
    Place,
    PlainTable,
    Published,
    RowLayout,
    TableLayout,
    load_published,
)
from benchmark.published.results import PublishedResult
from benchmark.reporting.footnotes import Footnotes
from benchmark.reporting.formats import Block, BlockTable, write_table
from benchmark.reporting.own_scores import OwnScore, OwnScores, read_own_scores
from benchmark.statistics.inputs import scores_folder
from benchmark.statistics.rows import rounded
from benchmark.workspace import Workspace

SCALE = {"percent": 100.0, "fraction": 1.0, "none": 1.0}
"""What a fraction of ours is multiplied by to be in the unit of a published number."""
READING = (
    "Each cell: the published number; below it ours, mean over pre-training seeds, with a 95 % interval in brackets; "
    "then ours minus published, and whether the published number lies within our interval."
)


@dataclass(frozen=True)
class Comparison:
    """A published number beside ours, in the published unit."""

    published: PublishedResult
    own: OwnScore

    def scaled(self, value: float | None) -> float | None:
        """A number of ours in the published unit."""
        return None if value is None else SCALE[self.published.unit] * value

    @property
    def difference(self) -> float | None:
        """Ours minus published; None where we have none."""
        ours = self.scaled(self.own.value)
        return None if ours is None else ours - self.published.value

    @property
    def within(self) -> bool | None:
        """Whether the published number lies in our interval; None where we have no interval."""
        lower, upper = self.scaled(self.own.lower), self.scaled(self.own.upper)
        return None if lower is None or upper is None else lower <= self.published.value <= upper


def write_published_tables(published: Published, folder: Path, own: OwnScores | None = None) -> int:
    """Write ``folder/<paper>/<table>.{csv,md,tex,html}`` for every table of the papers; with our scores also ``cells.csv``.

    Returns:
        The number of published numbers in the tables.
    """
    for paper in published.layouts.papers:
        for table in paper_tables(published, paper, own):
            write_table(folder / paper, table)
    if own is not None:
        write_text(folder / "cells.csv", comparison_frame(published, own).to_csv(index=False, lineterminator="\n"))
    return sum(published.result(place) is not None for place in published.places())


def render_published_tables(workspace: Workspace, study: str) -> None:
    """Write the tables of the paper that a study reproduces, with our scores in their cells.

    They go to ``results/<profile>/tables/<study>/published/``, with ``cells.csv``, one row a number. A study that is no
    paper's has none.

    Raises:
        ConfigError: the published files do not parse.
        StaleArtifactError: aggregation has not run.
    """
    published = load_published(workspace.root)
    if study not in published.layouts.papers:
        return
    own = read_own_scores(scores_folder(workspace), published.settings.task_groups)
    folder = workspace.results / "tables" / study / "published"
    for table in paper_tables(published, study, own):
        write_table(folder, table)
    cells = comparison_frame(published, own, study)
    write_text(folder / "cells.csv", cells.to_csv(index=False, lineterminator="\n"))


def paper_tables(published: Published, paper: str, own: OwnScores | None) -> Iterator[BlockTable]:
    """The tables of one paper, in the order of its layout; with our scores in their cells unless ``own`` is None."""
    layout = published.layouts.papers[paper]
    for name, plain in layout.tables_without_results.items():
        yield BlockTable(name, _caption(paper, plain), [[Block(list(plain.header), [list(row) for row in plain.rows])]])
    for name, table in layout.tables.items():
        yield _Renderer(published, paper, name, table, own).table()


def comparisons(published: Published, own: OwnScores, paper: str | None = None) -> list[Comparison]:
    """Every printed number of a table, or of one paper's tables, beside ours."""
    places = [place for place in published.places() if paper in {None, place.paper}]
    return [Comparison(result, own.find(result)) for place in places if (result := published.result(place))]


def comparison_frame(published: Published, own: OwnScores, paper: str | None = None) -> pd.DataFrame:
    """One row a comparison: the number's key, the number, ours in its unit, and what one says of the other."""
    records = [_record(found) | {"standin": bool(own.banner)} for found in comparisons(published, own, paper)]
    return pd.DataFrame(records, dtype=object)


class _Renderer:
    """Renders one table, whatever its layout."""

    def __init__(self, published: Published, paper: str, name: str, table: TableLayout, own: OwnScores | None) -> None:
        self.published, self.paper, self.name, self.layout, self.own = published, paper, name, table, own
        self.footnotes = Footnotes()

    def table(self) -> BlockTable:
        ordered = sorted(self.layout.blocks, key=lambda block: block.position)
        lines: dict[int, list[Block]] = {}
        for block in ordered:
            lines.setdefault(block.position[0], []).append(self._block(block))
        notes = [] if self.own is None else [READING, *self.footnotes.notes()]
        banner = self.own.banner if self.own else ""
        return BlockTable(self.name, _caption(self.paper, self.layout), list(lines.values()), notes, banner)

    def _block(self, block: BlockLayout) -> Block:
        rows: list[list[str]] = []
        headings: dict[int, str] = {}
        for row in block.rows:
            if row.group is not None:
                headings[len(rows)] = row.group
            else:
                rows.append([self._cell(row, column) for column in block.columns])
        return Block(
            header=[column.header for column in block.columns],
            rows=rows,
            above=[list(line) for line in block.header],
            headings=headings,
            title=block.title,
            align="".join("r" if column.kind == "value" else "l" for column in block.columns),
        )

    def _cell(self, row: RowLayout, column: ColumnLayout) -> str:
        if column.kind == "label":
            return row.label
        return row.static[column.key] if column.kind == "static" else self._number(self._place(row, column))

    def _place(self, row: RowLayout, column: ColumnLayout) -> Place:
        return Place(self.paper, self.name, row, column, self.layout.cell_format.at(row.key, column.key))

    def _number(self, place: Place) -> str:
        result = self.published.result(place)
        if result is None:
            return place.format.missing or ""
        printed = place.format.text(result) + place.row.suffix.get(place.column.key, "")
        if self.own is None:
            return printed
        return f"{printed}\n{self._ours(place, Comparison(result, self.own.find(result)))}"

    def _ours(self, place: Place, compared: Comparison) -> str:
        """Our number, its interval, the difference and whether the published number lies within; or why there is none."""
        own, number = compared.own, place.format.number
        value, difference = compared.scaled(own.value), compared.difference
        if value is None or difference is None:
            return f"{own.absent} ({self.footnotes.mark(own.reason)})"
        lower, upper = compared.scaled(own.lower), compared.scaled(own.upper)
        interval = "" if lower is None or upper is None else f" [{number(lower)}, {number(upper)}]"
        verdict = "no interval" if compared.within is None else "within" if compared.within else "outside"
        partial = f" ({self.footnotes.mark(own.reason)})" if own.reason else ""
        return f"{number(value)}{interval}{partial}\n{difference:+.{place.format.decimals}f}, {verdict}"


def _caption(paper: str, table: TableLayout | PlainTable) -> str:
    return f"{table.caption.rstrip('.')} ({paper}, section {table.section})"


def _record(compared: Comparison) -> dict[str, object]:
    result, own = compared.published, compared.own
    return {
        **result.model_dump(exclude={"note"}),
        "ours": rounded(compared.scaled(own.value)),
        "lower": rounded(compared.scaled(own.lower)),
        "upper": rounded(compared.scaled(own.upper)),
        "seeds": own.seeds,
        "difference": rounded(compared.difference),
        "within": compared.within,
        "reason": own.reason,
    }
