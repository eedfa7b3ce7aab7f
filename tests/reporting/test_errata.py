from __future__ import annotations

from pathlib import Path

from benchmark.published.errata import load_errata
from benchmark.reporting.errata import errata_page, errata_tables
from tests.reporting.written import from_markdown

ROOT = Path(__file__).parent.parent.parent


def test_the_committed_page_is_the_rendering():
    committed = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
    assert committed == errata_page(load_errata(ROOT)), "run `benchmark errata --out docs/errata.md`"


def test_the_page_holds_every_entry():
    errata = load_errata(ROOT)
    blocks = from_markdown(errata_page(errata))
    entries = [errata.conflicts, errata.cross_paper_quotes, errata.misprints, errata.choices, errata.deviations]
    assert sum(len(block) - 1 for block in blocks) == sum(map(len, entries))
    assert len(blocks) == len(errata_tables(errata))
    for block in blocks:
        assert len({len(row) for row in block}) == 1
