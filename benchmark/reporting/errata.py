"""Errata and deviations as tables, for the documentation and the report."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from benchmark.config import Config
from benchmark.published.errata import Errata
from benchmark.reporting.formats import Table, as_markdown

INTRODUCTION = """\
# Errata and deviations

Generated from `results/errata.yaml` and the conflicts in `results/published/tables.yaml` by
`benchmark errata --out docs/errata.md`; edit those, not this page. "Not yet": decided, and no code is there so far."""


def errata_page(errata: Errata) -> str:
    """The page ``docs/errata.md``."""
    return "\n\n".join([INTRODUCTION, *(as_markdown(table).rstrip() for table in errata_tables(errata))]) + "\n"


def errata_tables(errata: Errata) -> list[Table]:
    """Conflicts, quotes, misprints and deviations, and the choices of each paper."""
    conflicts = [[conflict.paper, conflict.where, conflict.what, meaning] for conflict, meaning in errata.conflicts]
    papers = list(dict.fromkeys(choice.paper for choice in errata.choices))
    choices = [_choices(paper, [c for c in errata.choices if c.paper == paper]) for paper in papers]
    return [
        Table(
            "conflicts", "Where a paper contradicts itself", ["Paper", "Where", "What", "Consequence here"], conflicts
        ),
        _quotes(errata.cross_paper_quotes),
        _table("misprints", "Slips in formulas, and released code that does something else", errata.misprints),
        *choices,
        _table("deviations", "Where this project departs from what a paper says", errata.deviations),
    ]


def _quotes(quotes: list[dict[str, str]]) -> Table:
    columns = list(dict.fromkeys(["system", *(key for quote in quotes for key in quote)]))
    rows = [[quote.get(column, "") for column in columns] for quote in quotes]
    return Table("quotes", "One system's number in several papers", ["System", *columns[1:]], rows)


def _choices(paper: str, choices: Sequence[Config]) -> Table:
    return _table(f"choices-{paper}", f"What {paper} does not say, and what is done", choices, leave_out={"paper"})


def _table(name: str, caption: str, entries: Sequence[Config], leave_out: AbstractSet[str] = frozenset()) -> Table:
    """Entries down, their fields across."""
    rows = [list(entry.model_dump(exclude=set(leave_out)).values()) for entry in entries]
    header = [field.capitalize() for field in type(entries[0]).model_fields if field not in leave_out]
    return Table(name, caption, header, rows)
