from __future__ import annotations

import json
from dataclasses import replace

from benchmark.reporting.comparison import SHOWN, as_record, as_text
from benchmark.statistics.published import PublishedMatch
from benchmark.statistics.reference import compare
from tests.statistics.accepted_runs import RUNS, TOLERANCE, finished, moved, retrained, with_record

WORSE = retrained(moved(finished(), {"name": "simclr-0"}, -30), "simclr-0")


def test_a_pass_is_short():
    text = as_text("test", compare(finished(), finished(), TOLERANCE), [])
    assert text.startswith(
        "## Profile `test` against its accepted run: passed (4 runs exactly; 16 cells equal, 0 within"
    )
    assert "|" not in text
    assert "No published number" in text


def test_a_regression_shows_why_what_moved_and_what_differs():
    current = with_record(WORSE, "simclr-0", method_config={"temperature": 2.0})
    text = as_text("test", compare(finished(), current, TOLERANCE), [])
    assert text.startswith("## Profile `test` against its accepted run: FAILED")
    assert "- Not the accepted experiment: method_config.temperature 0.2 → 2.0 (simclr-0)" in text
    assert "| -30.0 of 400 | -7.5 | none | fell | weights |" in text
    assert "| method_config.temperature | 0.2 | 2.0 | simclr-0 |" in text


def test_a_difference_of_all_runs_is_one_row():
    current = finished()
    for name in RUNS:
        current = with_record(current, name, machine={"threads": 1})
    text = as_text("test", compare(finished(), current, TOLERANCE), [])
    assert "| machine.threads | 2 | 1 | all runs |" in text
    assert "4 runs by the numerical tolerance" in text


def test_other_code_is_one_row_whatever_its_hashes():
    current = finished()
    for name in RUNS:
        current = with_record(current, name, code=f"edited {name}")
    text = as_text("test", compare(finished(), current, TOLERANCE), [])
    assert "| pre-training code | – | other | all runs |" in text
    assert "passed" in text


def test_long_tables_are_cut_and_the_json_is_not():
    current = replace(moved(finished(), {}, -30), host={})
    copies = compare(finished(), current, TOLERANCE)
    many = replace(copies, changes=copies.changes * 2)
    text = as_text("test", many, [])
    assert f"{len(many.changes) - SHOWN} more cells, in the JSON." in text
    record = as_record("test", many, [])
    assert len(json.loads(json.dumps(record, allow_nan=False))["changes"]) == len(many.changes)
    assert record["passed"] is False


def test_published_numbers_stand_beside_ours():
    match = PublishedMatch("fonseca2021", "table-1", "simclr", "esc10", "linear", 0.7, 0.65, 0.6, 0.75)
    text = as_text("test", compare(finished(), finished(), TOLERANCE), [match])
    assert "| fonseca2021 | simclr | esc10 | linear | 70.0 | 65.0 [60.0, 75.0] | yes |" in text
