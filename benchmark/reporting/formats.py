"""One table, four formats: CSV, Markdown, LaTeX and HTML.

A cell is text; a line break within it is kept where the format has one.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from benchmark.artifacts import write_text

TRANSDUCTIVE = "†"
NOT_ASKED = "–"
PREAMBLE = r"\usepackage{amssymb,booktabs,graphicx}"
"""What a document that includes our LaTeX must load."""
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
    **{
        character: f"\\ensuremath{{{command}}}"
        for character, command in {
            "±": r"\pm", "−": "-", "∼": r"\sim", "√": r"\surd", "∈": r"\in", "≤": r"\le", "≥": r"\ge", "·": r"\cdot",
            "×": r"\times", "²": "^2", "³": "^3", "✓": r"\checkmark", "✗": r"\times", "→": r"\rightarrow",
            "α": r"\alpha", "β": r"\beta", "δ": r"\delta", "Δ": r"\Delta", "λ": r"\lambda", "μ": r"\mu", "σ": r"\sigma",
            "τ": r"\tau",
        }.items()
    },
}  # fmt: skip
_INTERVAL = re.compile(r"\[[^]]*\]")


@dataclass(frozen=True)
class Block:
    """A header and rows of as many cells each."""

    header: list[str]
    rows: list[list[str]]
    above: list[list[str]] = field(default_factory=list)
    """Header lines above the columns' own; an empty cell continues the one on its left."""
    headings: dict[int, str] = field(default_factory=dict)
    """Sub-headings, by the number of the row above which they stand."""
    title: str = ""
    align: str = ""
    """A letter a column, as LaTeX has them; empty: two columns of text, then numbers."""

    @property
    def alignment(self) -> str:
        """A letter a column."""
        return self.align or ("ll" + "r" * len(self.header))[: len(self.header)]

    @property
    def spans(self) -> list[list[tuple[str, int]]]:
        """The header lines above as texts and the number of columns that each covers."""
        return [_spans(line) for line in self.above]

    def with_headings(self, heading: Callable[[str], str], row: Callable[[list[str]], str]) -> list[str]:
        """Rows and sub-headings in their order, each through its function."""
        lines = []
        for number, cells in enumerate(self.rows):
            lines += [heading(self.headings[number])] if number in self.headings else []
            lines.append(row(cells))
        return lines


@dataclass(frozen=True)
class Table:
    """A table of one block as text, ready for any format."""

    name: str
    caption: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    banner: str = ""

    @property
    def blocks(self) -> list[list[Block]]:
        """Its one block."""
        return [[Block(self.header, self.rows)]]


@dataclass(frozen=True)
class BlockTable:
    """A table of several blocks as text: lines of blocks that stand abreast."""

    name: str
    caption: str
    blocks: list[list[Block]]
    notes: list[str] = field(default_factory=list)
    banner: str = ""


AnyTable = Table | BlockTable


def as_csv(table: AnyTable) -> str:
    """Comma-separated values; banner, caption, block titles and notes in lines that start with ``#``.

    Blocks stand one below the other with an empty line between them.
    """
    before = [f"# {text}\n" for text in (table.banner, table.caption) if text]
    blocks = [_csv_block(block) for line in table.blocks for block in line]
    return "".join(before) + "\n".join(blocks) + "".join(f"# {note}\n" for note in table.notes)


def as_markdown(table: AnyTable) -> str:
    """Pipe tables, one a block, with caption above and notes below."""
    before = [f"**{table.banner}**", ""] if table.banner else []
    blocks = [text for line in table.blocks for block in line for text in [*_markdown_block(block), ""]]
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([*before, f"{table.caption.rstrip('.')}.", "", *blocks, *notes]) + "\n"


def as_latex(table: AnyTable) -> str:
    """``tabular``s in a ``table``, to be included in a document that loads :data:`PREAMBLE`; never wider than a line."""
    banner = [rf"\textbf{{{latex(table.banner)}}}\par"] if table.banner else []
    notes = [rf"\par\footnotesize {latex(note)}" for note in table.notes]
    lines = ["\n\\quad\n".join(map(_latex_block, blocks)) for blocks in table.blocks]
    body = "\n\\par\\medskip\n".join(
        f"\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n{line}}}" for line in lines
    )
    caption = rf"\caption{{{latex(table.caption)}}}"
    return "\n".join([r"\begin{table}", r"\centering", *banner, caption, body, *notes, r"\end{table}"]) + "\n"


def as_html(table: AnyTable) -> str:
    """A page that opens from disk."""
    return environment().get_template("table.html.j2").render(content=table)


FORMATS: dict[str, Callable[[AnyTable], str]] = {"csv": as_csv, "md": as_markdown, "tex": as_latex, "html": as_html}
"""File suffix -> writer."""


def write_table(folder: Path, table: AnyTable, formats: Sequence[str] = tuple(FORMATS)) -> None:
    """Write ``folder/<name>.<suffix>`` in each format."""
    for suffix in formats:
        write_text(folder / f"{table.name}.{suffix}", FORMATS[suffix](table))


def latex(text: str) -> str:
    """``text`` with every character that LaTeX would interpret escaped; a line break stacks the lines."""
    lines = ["".join(_LATEX.get(character, character) for character in line) for line in text.split("\n")]
    return lines[0] if len(lines) == 1 else r"\shortstack[r]{" + r" \\ ".join(lines) + "}"


def environment() -> jinja2.Environment:
    """The templates of tables and report; every text is escaped."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("benchmark.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["cell"] = _html_cell
    return templates


def _spans(line: list[str]) -> list[tuple[str, int]]:
    spans: list[tuple[str, int]] = []
    for text in line:
        if text or not spans or not spans[-1][0]:
            spans.append((text, 1))
        else:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
    return spans


def _csv_block(block: Block) -> str:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    width = len(block.header)
    writer.writerows([cell.replace("\n", "; ") for cell in line] for line in [*block.above, block.header])
    for number, row in enumerate(block.rows):
        if number in block.headings:
            writer.writerow([block.headings[number], *[""] * (width - 1)])
        writer.writerow(cell.replace("\n", "; ") for cell in row)
    return (f"# {block.title}\n" if block.title else "") + lines.getvalue()


def _markdown_block(block: Block) -> list[str]:
    """Markdown has one header line: a column's texts of all lines stand in it, one below the other."""
    levels = [[text for text, width in line for _ in range(width)] for line in block.spans]
    header = ["\n".join(filter(None, texts)) for texts in zip(*levels, block.header, strict=True)]
    rule = ["---"] * len(block.header)
    title = [f"**{block.title}**", ""] if block.title else []
    body = block.with_headings(lambda text: _pipes([f"**{text}**", *[""] * (len(rule) - 1)]), _pipes)
    return [*title, _pipes(header), _pipes(rule), *body]


def _pipes(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "<br>") for cell in cells) + " |"


def _latex_block(block: Block) -> str:
    width = len(block.header)
    title = [rf"\multicolumn{{{width}}}{{c}}{{\textbf{{{latex(block.title)}}}}} \\"] if block.title else []
    above = [" & ".join(_latex_span(*span) for span in line) + r" \\" for line in block.spans]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{block.alignment}}}",
            *title,
            r"\toprule",
            *above,
            _latex_row(block.header),
            r"\midrule",
            *block.with_headings(lambda text: _latex_span(text, width, "l", r"\textbf") + r" \\", _latex_row),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _latex_row(cells: list[str]) -> str:
    return " & ".join(map(latex, cells)) + r" \\"


def _latex_span(text: str, width: int, align: str = "c", style: str = "") -> str:
    styled = f"{style}{{{latex(text)}}}" if style else latex(text)
    return styled if width == 1 else rf"\multicolumn{{{width}}}{{{align}}}{{{styled}}}"


def _html_cell(text: str) -> Markup:
    """A cell with its line breaks, and its intervals in small print."""
    marked = _INTERVAL.sub(lambda match: f"<small>{match[0]}</small>", str(escape(text)))
    return Markup(marked.replace("\n", "<br>"))
