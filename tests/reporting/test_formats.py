from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmark.reporting.formats import (
    PREAMBLE,
    Block,
    BlockTable,
    Table,
    as_csv,
    as_html,
    as_latex,
    as_markdown,
    latex,
)

TABLE = Table(
    name="t",
    caption="50 % of A & B",
    header=["Run", "Audio", "Seeds", "a_b"],
    rows=[["Log|mel", "x, y", "–", "[1.0, 2.0]†"]],
    notes=["a note_1"],
    banner="Stand-in data",
)


def test_csv_reads_back():
    lines = [line for line in as_csv(TABLE).splitlines() if not line.startswith("#")]
    assert list(csv.reader(lines)) == [TABLE.header, *TABLE.rows]
    assert as_csv(TABLE).startswith("# Stand-in data\n# 50 % of A & B\n")


def test_markdown_has_as_many_cells_in_every_row():
    lines = [line for line in as_markdown(TABLE).splitlines() if line.startswith("|")]
    assert len(lines) == 3
    assert {line.replace("\\|", "").count("|") for line in lines} == {5}
    assert "**Stand-in data**" in as_markdown(TABLE)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("50 % & $1", r"50 \% \& \$1"),
        ("a_b{c}#d", r"a\_b\{c\}\#d"),
        ("\\~^", r"\textbackslash{}\textasciitilde{}\textasciicircum{}"),
        ("[1, 2]†", r"{[}1, 2{]}\textsuperscript{\dag}"),
        ("p < 0.05", r"p \textless{} 0.05"),
    ],
)
def test_latex_escapes(text: str, escaped: str):
    assert latex(text) == escaped


def test_latex_has_as_many_columns_as_cells():
    text = as_latex(TABLE)
    assert r"\begin{tabular}{llrr}" in text
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
    assert body.replace(r"\&", "").count("&") == 3
    assert r"\textbf{Stand-in data}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path: Path):
    document = r"\documentclass{article}" + PREAMBLE + r"\begin{document}" + as_latex(TABLE) + r"\end{document}"
    (tmp_path / "t.tex").write_text(document)
    subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True)


BLOCKS = BlockTable(
    name="t",
    caption="Two blocks abreast, one below",
    blocks=[
        [
            Block(
                header=["Run", "full", "1k"],
                rows=[["A & <b>", "1.0\n[0.5, 1.5]", "2.0"], ["C", "3.0", "4.0"]],
                above=[["", "Frozen", ""]],
                headings={1: "Last"},
                title="First",
                align="lrr",
            ),
            Block(header=["x"], rows=[["5.0"]]),
        ],
        [Block(header=["y"], rows=[["6.0"]])],
    ],
)


def test_blocks_stand_one_below_the_other_in_csv():
    lines = as_csv(BLOCKS).splitlines()
    assert lines[1:8] == [
        "# First", ",Frozen,", "Run,full,1k", 'A & <b>,"1.0; [0.5, 1.5]",2.0', "Last,,", "C,3.0,4.0", "",
    ]  # fmt: skip
    assert lines[8:] == ["x", "5.0", "", "y", "6.0"]


def test_markdown_fills_a_spanning_header():
    text = as_markdown(BLOCKS)
    assert "| Run | Frozen<br>full | Frozen<br>1k |" in text
    assert "| **Last** |  |  |" in text
    assert "1.0<br>[0.5, 1.5]" in text


def test_latex_spans_and_stacks():
    text = as_latex(BLOCKS)
    assert r" & \multicolumn{2}{c}{Frozen} \\" in text
    assert r"\multicolumn{3}{l}{\textbf{Last}} \\" in text
    assert r"\shortstack[r]{1.0 \\ {[}0.5, 1.5{]}}" in text
    assert text.count(r"\begin{tabular}") == 3
    assert text.count(r"\quad") == 1


def test_html_escapes_spans_and_keeps_blocks():
    text = as_html(BLOCKS)
    assert "A &amp; &lt;b&gt;" in text
    assert "<b>" not in text
    assert '<th scope="colgroup" colspan="2">Frozen</th>' in text
    assert '<th scope="rowgroup" colspan="3">Last</th>' in text
    assert "1.0<br><small>[0.5, 1.5]</small>" in text
    assert text.count("<table>") == 3
    assert text.startswith("<!doctype html>")
