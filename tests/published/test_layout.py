from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import ConfigError
from benchmark.published.layout import CellFormat, FormatOverride, load_published
from tests.published.conftest import ROOT, spoil

TABLES = Path("results") / "published" / "tables.yaml"
CSV = Path("results") / "published" / "published_results.csv"


def test_every_number_of_a_table_has_one_cell():
    published = load_published(ROOT)
    results = [result for place in published.places() if (result := published.result(place))]
    assert len(results) == len({id(result) for result in results}) == 464


def test_formats_of_column_and_cell_win_over_the_tables():
    plain = CellFormat(decimals=1, unit="percent", uncertainty_decimals=None, missing="-")
    cell = plain.model_copy(
        update={
            "by_column": {"AUC": FormatOverride(decimals=3, unit="fraction")},
            "exceptions": (
                FormatOverride(row="last", decimals=0),
                FormatOverride(row="first", column="AUC", missing=None),
            ),
        }
    )
    assert (cell.at("middle", "mAP").decimals, cell.at("middle", "mAP").unit) == (1, "percent")
    assert (cell.at("middle", "AUC").decimals, cell.at("middle", "AUC").unit) == (3, "fraction")
    assert cell.at("last", "AUC").decimals == 0
    assert (cell.at("first", "AUC").missing, cell.at("middle", "AUC").missing) == (None, "-")


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        (TABLES, "{key: d = 25, label: d = 25}", "{key: d = 26, label: d = 26}", r"table-1: .*row_order and the blocks"),
        (TABLES, "exceptions: [{row: τ = 0.4", "exceptions: [{row: τ = 0.3", r"does not print 53.0|does not print .* percent"),
        (TABLES, "where: {method: c3_audio}", "where: {}", r"2 rows, not one, for srivastava2022 table-2, row 'C³ \[25\]'"),
        (TABLES, "where: {method: c3_audio}", "where: {methods: c3_audio}", r"where names 'methods'"),
        (TABLES, "decimals: 3, unit: fraction, uncertainty_decimals: null, missing: '-'", "decimals: 3, unit: fraction, "
         "uncertainty_decimals: null, missing: null", r"0 rows, not one, for srivastava2022 table-1"),
        (TABLES, "suffix: {Prior Works | SS + shallow: ' [28]†'", "suffix: {Prior Work: ' [28]†'", r"suffix for the unknown"),
        (TABLES, "position: [0, 1]", "position: [0, 0]", r"table-1: .*two blocks have one position"),
        (TABLES, "- [Model, Linear,", "- [Linear,", r"table-3.blocks.0: .*header line"),
        (TABLES, "{kind: label, header: Sampling method}", "{kind: labels, header: Sampling method}", r"columns.0.kind"),
        (TABLES, "uncertainty_decimals: 2", "uncertainty_decimals: 1", r"does not print 0.4 fraction|does not print"),
        (TABLES, "    section: '4.1'", "    section: '4.1'\n        sections: 4", r"unknown parameter .*sections"),
        (CSV, "table-1,d = 25,kNN", "table-1,d = 25,knn", r"0 rows, not one, for fonseca2021 table-1, row 'd = 25'"),
        (CSV, "fonseca2021,text-4.3", "fonseca2021,table-1", r"is laid out 0 times"),
    ],
)  # fmt: skip
def test_a_layout_that_does_not_fit_is_refused(copy: Path, file: Path, old: str, new: str, sentence: str):
    spoil(copy / file, old, new)
    with pytest.raises(ConfigError, match=sentence):
        load_published(copy)
