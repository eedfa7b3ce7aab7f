from __future__ import annotations

from dataclasses import replace

from benchmark.jobs import ReportJob
from benchmark.reporting.audit import comparison_table, diagnostics_table, missing_table, provenance_table, versions
from benchmark.reporting.results import read_results
from benchmark.workspace import Workspace
from tests.statistics.synthetic import REASON

Project = tuple[ReportJob, Workspace]


def test_comparisons_hold_those_that_were_made(project: Project):
    table = comparison_table(read_results(project[1]))
    assert [row[1] for row in table.rows] == ["ESC-10", "Speaker of spoken digits", "UrbanSound8K"]
    assert all(len(row) == len(table.header) for row in table.rows)


def test_missing_cells_hold_their_reason(project: Project):
    assert missing_table(read_results(project[1])).rows == [["Not here yet", "ESC-10", "linear", "full", REASON]]


def test_provenance_has_a_row_a_run(project: Project):
    results = read_results(project[1])
    rows = {row[0]: row for row in provenance_table(results).rows}
    assert rows["simclr-1"][1:6] == ["cpu", "850", "100", "20", "4,567,104"]
    assert rows["simclr-1"][6:] == ["w1", "d", "c"]
    assert rows["late-0"][1] == f"not run: {REASON}"
    assert versions(results) == {"torch": "2.11.0"}


def test_nested_diagnostics_become_rows(project: Project):
    nested = {
        "step0_equals_untrained": True,
        "embeddings": [
            {"task": "esc10", "effective_rank": 3.14159, "clips": 4000},
            {"task": "us8k", "effective_rank": 2.0},
        ],
    }
    table = diagnostics_table(replace(read_results(project[1]), diagnostics={"r-0": nested}))
    assert table.header == ["Run", "Of", "step0 equals untrained", "effective rank", "clips"]
    assert table.rows == [
        ["r-0", "–", "yes", "–", "–"],
        ["r-0", "embeddings esc10", "–", "3.14", "4,000"],
        ["r-0", "embeddings us8k", "–", "2", "–"],
    ]
