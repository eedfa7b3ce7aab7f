"""The papers' tables, read back from every format and held against the published files, which are read here by themselves."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.config import parse_yaml
from benchmark.published.layout import Published, load_published
from benchmark.reporting.formats import PREAMBLE
from benchmark.reporting.own_scores import KEY, OwnScores
from benchmark.reporting.published_tables import comparison_frame, render_published_tables, write_published_tables
from benchmark.reporting.results import BANNER
from benchmark.workspace import Workspace
from tests.reporting.conftest import Project
from tests.reporting.written import READERS

ROOT = Path(__file__).parent.parent.parent
PUBLISHED = ROOT / "results" / "published"
CELLS = 464
Numbers = dict[tuple[str, str, str, str], list[dict[str, str]]]


@pytest.fixture(scope="module")
def published() -> Published:
    return load_published(ROOT)


@pytest.fixture(scope="module")
def printed(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("printed")
    assert write_published_tables(published, folder) == CELLS
    return folder


def own_scores(published: Published, seed: int = 0, **columns: Any) -> OwnScores:
    """A score of ours for every published cell: a tenth of a point above, within an interval of a point each way."""
    results = [
        result for place in published.places() if (result := published.result(place)) and result.ours_or_prior == "this"
    ]
    scale = np.array([100.0 if result.unit == "percent" else 1.0 for result in results])
    value = (np.array([result.value for result in results]) + 0.1) / scale
    keys = [[result.paper, *(getattr(result, column) for column in KEY[1:])] for result in results]
    table = pd.DataFrame(keys, columns=KEY).assign(
        value=value, lower=value - 1 / scale, upper=value + 1 / scale, seeds=3, reason="", run="ours"
    )
    return OwnScores(table.assign(**columns).drop_duplicates(KEY), "")


@pytest.fixture(scope="module")
def beside(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beside")
    write_published_tables(published, folder, own_scores(published))
    return folder


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    """The rows of the file by where they are printed."""
    found: Numbers = {}
    with (PUBLISHED / "published_results.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            found.setdefault((line["paper"], line["table"], line["row"], line["column"]), []).append(line)
    return found


def layouts() -> list[tuple[str, str, dict[str, Any]]]:
    papers = parse_yaml((PUBLISHED / "tables.yaml").read_text())["papers"]
    return [(paper, name, table) for paper, layout in papers.items() for name, table in layout["tables"].items()]


LAYOUTS = layouts()


def header_lines(block: dict[str, Any], suffix: str) -> int:
    """Markdown has one header line, with all levels in it."""
    return 1 if suffix == "md" else 1 + len(block.get("header", []))


def expected(
    numbers: Numbers, paper: str, name: str, table: dict[str, Any], row: dict[str, Any], column: str
) -> tuple[str, bool]:
    """The text that a cell is to hold, and whether it is a number."""
    at = numbers.get((paper, name, row["key"], column), [])
    found = [line for line in at if row.get("where", {}).items() <= line.items()]
    assert len(found) <= 1
    if not found:
        assert table["cell_format"]["missing"] is not None
        return table["cell_format"]["missing"], False
    value, uncertainty = found[0]["value"], found[0]["uncertainty"]
    return value + (f" ± {uncertainty}" if uncertainty else "") + row.get("suffix", {}).get(column, ""), True


@pytest.mark.parametrize("suffix", READERS)
def test_every_format_holds_every_number_as_printed(printed: Path, numbers: Numbers, suffix: str):
    count = 0
    for paper, name, table in LAYOUTS:
        blocks = READERS[suffix]((printed / paper / f"{name}.{suffix}").read_text())
        ordered = sorted(table["blocks"], key=lambda block: block["position"])
        assert len(blocks) == len(ordered)
        for written, block in zip(blocks, ordered, strict=True):
            body = written[header_lines(block, suffix) :]
            assert len(body) == len(block["rows"])
            assert {len(line) for line in written} == {len(block["columns"])}
            for line, row in zip(body, block["rows"], strict=True):
                if "group" in row:
                    assert line == [row["group"], *[""] * (len(line) - 1)]
                    continue
                for cell, column in zip(line, block["columns"], strict=True):
                    if column["kind"] == "value":
                        text, number = expected(numbers, paper, name, table, row, column["key"])
                        count += number
                    else:
                        text = row["label"] if column["kind"] == "label" else row["static"][column["key"]]
                    assert cell == text, (paper, name, row, column)
    assert count == CELLS


@pytest.mark.parametrize("suffix", READERS)
def test_header_lines_stand_above_the_columns_own(printed: Path, suffix: str):
    table = READERS[suffix]((printed / "fonseca2021" / f"table-3.{suffix}").read_text())[0]
    groups = ["Model", "Linear", "Larger noisy set", "", "Small clean set", ""]
    own = ["(weights in M)", "-", "random*", "p-t", "random", "p-t"]
    if suffix == "md":
        filled = ["Model", "Linear", "Larger noisy set", "Larger noisy set", "Small clean set", "Small clean set"]
        assert table[0] == [f"{group}\n{name}" for group, name in zip(filled, own, strict=True)]
    else:
        assert table[:2] == [groups, own]


def test_tables_without_results_are_written_too(printed: Path):
    for suffix, read in READERS.items():
        table = read((printed / "lin2022" / f"table-1.1.{suffix}").read_text())[0]
        assert table[0] == ["Method", "Loss Functions Used"]
        assert len(table) == 6


def test_ours_stands_below_the_published_number(beside: Path):
    cell = READERS["md"]((beside / "fonseca2021" / "table-3.md").read_text())[0][1][1]
    assert cell == "74.3\n74.4 [73.4, 75.4]\n+0.1, within"
    assert "Each cell: the published number; below it ours" in (beside / "fonseca2021" / "table-3.md").read_text()


def test_a_published_number_outside_our_interval_is_said_to_be(published: Published, tmp_path: Path):
    shifted = own_scores(published, value=0.5, lower=0.49, upper=0.51)
    write_published_tables(published, tmp_path, shifted)
    assert (
        READERS["md"]((tmp_path / "fonseca2021" / "table-3.md").read_text())[0][1][1]
        == "74.3\n50.0 [49.0, 51.0]\n-24.3, outside"
    )
    assert READERS["md"]((tmp_path / "lin2022" / "table-3.1.md").read_text())[0][1][0].endswith(
        "0.500 [0.490, 0.510]\n-0.242, outside"
    )


def test_without_an_interval_nothing_is_within(published: Published, tmp_path: Path):
    write_published_tables(published, tmp_path, own_scores(published, lower=None, upper=None))
    assert (
        READERS["md"]((tmp_path / "fonseca2021" / "table-3.md").read_text())[0][1][1] == "74.3\n74.4\n+0.1, no interval"
    )


def test_what_was_not_run_says_why(published: Published, tmp_path: Path):
    one = own_scores(published)
    reasons = own_scores(published, value=np.nan, lower=None, upper=None, reason="dataset fsdnoisy18k is absent")
    write_published_tables(published, tmp_path, reasons)
    text = (tmp_path / "fonseca2021" / "table-3.md").read_text()
    assert "| 74.3<br>not run (a) |" in text
    assert "- (a) dataset fsdnoisy18k is absent." in text
    quoted = (tmp_path / "wang2021" / "table-4.csv").read_text()
    assert "24.4; not run (" in quoted
    assert "another system's number, which wang2021 quotes and did not measure." in quoted
    frame = comparison_frame(published, one)
    assert (frame["reason"] != "").sum() == (frame["ours_or_prior"] == "prior").sum()


def test_standin_data_says_so_in_every_file(published: Published, tmp_path: Path):
    own = own_scores(published)
    own.banner = BANNER
    write_published_tables(published, tmp_path, own)
    for suffix in READERS:
        assert BANNER in (tmp_path / "tagliasacchi2020" / f"table-I.{suffix}").read_text()
    assert pd.read_csv(tmp_path / "cells.csv")["standin"].all()


def test_the_tidy_file_has_one_row_a_cell(beside: Path):
    frame = pd.read_csv(beside / "cells.csv")
    assert len(frame) == CELLS
    this = frame[frame["ours_or_prior"] == "this"]
    np.testing.assert_allclose(this["ours"] - this["value"], this["difference"])
    np.testing.assert_allclose(this["difference"], 0.1)
    assert not frame["standin"].any()
    assert this["within"].all()
    assert frame[frame["ours_or_prior"] == "prior"][["ours", "difference", "within"]].isna().all(axis=None)


@pytest.mark.parametrize("folder", ["printed", "beside"])
def test_latex_is_well_formed(folder: str, request: pytest.FixtureRequest):
    files = sorted(request.getfixturevalue(folder).rglob("*.tex"))
    assert len(files) == len(LAYOUTS) + 1
    for file in files:
        text = file.read_text()
        assert text.isascii(), file
        bare = re.sub(r"\\[{}]", "", text)
        depth = np.cumsum([(character == "{") - (character == "}") for character in bare])
        assert depth.min() == 0 == depth[-1]
        opened: list[str] = []
        for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
            if kind == "begin":
                opened.append(name)
            else:
                assert opened.pop() == name
        assert not opened
        for align, body in re.findall(r"\\begin\{tabular\}\{([lrc]+)\}\n(.*?)\\end\{tabular\}", text, flags=re.DOTALL):
            for line in body.splitlines():
                assert re.fullmatch(r"\\(top|mid|bottom)rule", line) or line.endswith(r" \\")
                spans = [int(width) - 1 for width in re.findall(r"\\multicolumn\{(\d+)\}", line)]
                if line.endswith(r"\\"):
                    assert len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans) == len(align), line
            assert not re.search(r"(?<!\\)[%#$_~]", body)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="pdflatex is not installed: the LaTeX is checked for its form only"
)
@pytest.mark.parametrize("folder", ["printed", "beside"])
def test_latex_compiles(folder: str, request: pytest.FixtureRequest, tmp_path: Path):
    files = sorted(request.getfixturevalue(folder).rglob("*.tex"))
    body = "\n".join(file.read_text() + r"\clearpage" for file in files)
    (tmp_path / "all.tex").write_text(
        f"\\documentclass{{article}}\n{PREAMBLE}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert f"({len(files)} pages" in done.stdout


def test_equal_inputs_give_equal_bytes(published: Published, printed: Path, tmp_path: Path):
    write_published_tables(published, tmp_path)
    files = sorted(path.relative_to(printed) for path in printed.rglob("*.*") if path.is_file())
    assert len(files) == 4 * (len(LAYOUTS) + 1)
    assert all((tmp_path / file).read_bytes() == (printed / file).read_bytes() for file in files)


def test_the_tables_stage_writes_those_of_the_paper_that_a_study_reproduces(project: Project, tmp_path: Path):
    """The synthetic study under the name of a paper; under its own it is no paper's and has none."""
    workspace = Workspace(tmp_path, project[1].profile)
    shutil.copytree(PUBLISHED, tmp_path / "results" / "published")
    shutil.copytree(project[1].results / "scores", workspace.results / "scores")
    for study in ("small", "wang2021"):
        render_published_tables(workspace, study)
    folders = {path.name for path in (workspace.results / "tables").iterdir()}
    assert folders == {"wang2021"}
    written = workspace.results / "tables" / "wang2021" / "published"
    assert "no run of study wang2021" in (written / "table-4.md").read_text()
    assert {path.suffix for path in written.glob("table-4.*")} == {".csv", ".md", ".tex", ".html"}
    cells = pd.read_csv(written / "cells.csv")
    assert set(cells["paper"]) == {"wang2021"}
    assert cells["reason"].notna().all()
