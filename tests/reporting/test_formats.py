from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmark.reporting.formats import Table, as_csv, as_latex, as_markdown, latex

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
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}" + as_latex(TABLE) + r"\end{document}"
    (tmp_path / "t.tex").write_text(document)
    subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True)
