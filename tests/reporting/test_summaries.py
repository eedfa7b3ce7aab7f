"""Summaries in a paper's layout and their figures, on the study of tagliasacchi2020 with made-up scores."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from benchmark.jobs import ReportJob, ReportRun
from benchmark.published.layout import load_published
from benchmark.published.results import load_settings, read_published_results
from benchmark.reporting.results import Results
from benchmark.reporting.summaries import published_cells, summary_table
from benchmark.reporting.summary_figures import draw, panels
from benchmark.reporting.tables import study_tables
from benchmark.statistics.rows import NormalisedMeanRow
from benchmark.statistics.summaries import SummaryRow, SummaryTaskRow
from benchmark.studies import load_study

ROOT = Path(__file__).parent.parent.parent
STUDY = load_study(ROOT, "tagliasacchi2020")
SPEC = STUDY.summaries["table_1"]
MISSING = "temporal_gap"


def made_up() -> tuple[list[SummaryRow], list[SummaryTaskRow]]:
    rows, cells = [], []
    places = [
        (name, run, column)
        for name, spec in STUDY.summaries.items()
        for run, column in product(spec.rows, spec.columns)
    ]
    for index, (name, run, column) in enumerate(places):
        place = ("tagliasacchi2020", name, run, column.protocol, str(column.train_size))
        value = None if run == MISSING else index / 100
        reason = "no slices of a2v_scratch were scored here" if run == MISSING else ""
        rows.append(SummaryRow(*place, value=value, spread=0.07, lower=0.01, upper=0.42, tasks=8, reason=reason))
        cells += [SummaryTaskRow(*place[:3], task, *place[3:], value=value, spread=0.02) for task in SPEC.tasks]
    return rows, cells


def results() -> Results:
    rows, cells = made_up()
    means = [
        NormalisedMeanRow("tagliasacchi2020", "audio2vec_cbow", "C", "linear", "1000", 7, 1, 0.5, 0.4, 0.6),
        NormalisedMeanRow("tagliasacchi2020", "audio2vec_cbow", "C", "linear", "full", 0, 8),
    ]
    provenance = {"audio2vec_cbow-0": {"method_config": {"decoder": "broadcast", "gap": 2}}}
    return Results([], [], [], means, [], rows, cells, {}, {}, provenance)


def job(*runs: str) -> ReportJob:
    common = {"title": "T", "seeds": (0,), "untrained": None, "supervised": {}, "transductive": False}
    facts = {run: ReportRun(names=(f"{run}-0",), **common) for run in runs}
    return ReportJob(
        profile="p", standin=True, seed=0, bootstrap=10, studies=(STUDY.id,), runs={STUDY.id: facts}, code="c"
    )


def test_the_table_has_the_papers_layout_with_its_numbers_above_ours():
    published = load_published(ROOT)
    layout = published.layouts.papers["tagliasacchi2020"].tables["table-I"]
    printed = read_published_results(ROOT, load_settings(ROOT))
    table = summary_table(job("audio2vec_cbow"), STUDY, "table_1", results(), published_cells(STUDY, SPEC, printed))
    assert [row[0] for row in table.rows] == list(layout.row_order)
    for row in table.rows:
        for column, cell in zip(layout.column_order, row[2:], strict=True):
            (number,) = published.cells["tagliasacchi2020", "table-I", row[0], column]
            assert cell.splitlines()[0] == f"published {number.value:.2f} ± {number.uncertainty:.2f}"
    cbow = next(row for row in table.rows if row[0] == "Audio2Vec (CBoW)")
    assert cbow[1] == "decoder=broadcast"  # what the run was trained with, not what the study says
    assert cbow[3].splitlines()[1:] == ["0.09 ± 0.07 [0.01, 0.42]", "own rules: 0.50 [0.40, 0.60], 7 of 8 tasks"]
    assert cbow[2].splitlines()[2] == "own rules: undefined on all 8 tasks"
    gap = next(row for row in table.rows if row[0] == "TemporalGap")
    assert gap[2].splitlines()[1] == "not run (a)"
    assert "(a) no slices of a2v_scratch were scored here." in table.notes
    assert "Stand-in" in table.banner


def test_the_other_reading_has_no_published_number():
    spec = STUDY.summaries["table_1_total"]
    assert published_cells(STUDY, spec, read_published_results(ROOT, load_settings(ROOT))) == {}


def test_figures_are_in_the_order_of_the_study():
    by_run = panels(STUDY, STUDY.figures["figure_2"], results())
    assert list(by_run) == ["Frozen, 1k", "Fine-tuned, 1k"]
    assert [bar.label for bar in by_run["Frozen, 1k"]] == [STUDY.runs[run].title for run in SPEC.rows]
    assert [bar.value for bar in by_run["Frozen, 1k"]][:2] == [0.01, 0.05]
    by_task = panels(STUDY, STUDY.figures["figure_3"], results())
    assert [len(bars) for bars in by_task.values()] == [8, 8]
    figure = draw(by_run)
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Frozen, 1k", "Fine-tuned, 1k"]
    widths = [patch.get_width() for patch in figure.axes[0].patches]
    assert widths[::-1][:2] == pytest.approx([0.01, 0.05])


def test_a_figure_without_numbers_is_not_drawn():
    empty = [SummaryRow(r.study, r.summary, r.run, r.protocol, r.train_size) for r in results().summaries]
    assert draw(panels(STUDY, STUDY.figures["figure_2"], Results([], [], [], [], [], empty, [], {}, {}, {}))) is None


def test_tables_of_which_the_profile_runs_nothing_are_left_out():
    names = [table.name for table in study_tables(job("cbow_small", "a2v_logmel"), STUDY, results(), ROOT)]
    assert {"small", "small_normalised"} <= set(names)
    assert not {"table_1", "frozen", "normalised_frozen"} & set(names)
    names = [table.name for table in study_tables(job("audio2vec_cbow"), STUDY, results(), ROOT)]
    assert {"table_1", "frozen"} <= set(names)
    assert "small" not in names
