"""One table, three formats: CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field

TRANSDUCTIVE = "†"
NOT_ASKED = "–"
_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: "\\" + character for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    NOT_ASKED: "--",
    TRANSDUCTIVE: r"\textsuperscript{\dag}",
    # A bracket after \\ would be read as its optional argument, so brackets stand in braces.
    "[": "{[}",
    "]": "{]}",
}


@dataclass(frozen=True)
class Table:
    """A table as text, ready for any format."""

    name: str
    caption: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    banner: str = ""


def as_csv(table: Table) -> str:
    """Comma-separated values; banner, caption and notes in lines that start with ``#``."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerows([table.header, *table.rows])
    before = [f"# {text}\n" for text in (table.banner, table.caption) if text]
    return "".join(before) + lines.getvalue() + "".join(f"# {note}\n" for note in table.notes)


def as_markdown(table: Table) -> str:
    """A pipe table with caption above and notes below."""
    rows = [table.header, ["---"] * len(table.header), *table.rows]
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    before = [f"**{table.banner}**", ""] if table.banner else []
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([*before, f"{table.caption}.", "", *body, "", *notes]) + "\n"


def as_latex(table: Table) -> str:
    """A ``tabular`` in a ``table``, to be included in a document that loads ``booktabs``."""
    columns = "ll" + "r" * (len(table.header) - 2)
    rows = [" & ".join(map(latex, row)) + r" \\" for row in table.rows]
    banner = [rf"\textbf{{{latex(table.banner)}}}\par"] if table.banner else []
    notes = [rf"\par\footnotesize {latex(note)}" for note in table.notes]
    lines = [
        r"\begin{table}",
        r"\centering",
        *banner,
        rf"\caption{{{latex(table.caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(map(latex, table.header)) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *notes,
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    """``text`` with every character that LaTeX would interpret escaped."""
    return "".join(_LATEX.get(character, character) for character in text)
