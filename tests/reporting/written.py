"""Written tables read back: each format as blocks of rows of cells, header lines first, spans and sub-headings filled up."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser

Blocks = list[list[list[str]]]

_TEX = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textsuperscript{\dag}": "†",
    "{[}": "[",
    "{]}": "]",
    **{
        rf"\ensuremath{{{command}}}": character
        for command, character in {
            r"\pm": "±", "^3": "³", r"\checkmark": "✓", r"\times": "✗", r"\tau": "τ", r"\alpha": "α", r"\beta": "β",
            r"\sim": "∼", "-": "−",
        }.items()
    },
    **{f"\\{character}": character for character in "&%$#_{}"},
}  # fmt: skip


def from_csv(text: str) -> Blocks:
    parts = "\n".join(line for line in text.splitlines() if not line.startswith("# ")).split("\n\n")
    return [list(csv.reader(part.strip("\n").splitlines())) for part in parts]


def from_markdown(text: str) -> Blocks:
    blocks: Blocks = []
    before = ""
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not before.startswith("|"):
                blocks.append([])
            blocks[-1] += [] if set(cells) == {"---"} else [[_plain(cell) for cell in cells]]
        before = line
    return blocks


def from_latex(text: str) -> Blocks:
    bodies = re.findall(r"\\begin\{tabular\}\{[lrc]+\}\n(.*?)\\end\{tabular\}", text, flags=re.DOTALL)
    return [
        [_tex_row(line[:-3]) for line in body.splitlines() if line.endswith(r" \\") and not _is_title(line)]
        for body in bodies
    ]


def from_html(text: str) -> Blocks:
    reader = _Tables()
    reader.feed(text)
    return reader.blocks


def _plain(cell: str) -> str:
    return re.sub(r"^\*\*(.*)\*\*$", r"\1", cell.replace("<br>", "\n"))


def _is_title(line: str) -> bool:
    return line.startswith(r"\multicolumn") and "{c}{\\textbf" in line


def _tex_row(line: str) -> list[str]:
    row = []
    for cell in re.split(r"(?<!\\) & ", line):
        span = re.fullmatch(r"\\multicolumn\{(\d+)\}\{\w\}\{(.*)\}", cell)
        text = re.sub(r"^\\textbf\{(.*)\}$", r"\1", span[2] if span else cell)
        if stacked := re.fullmatch(r"\\shortstack\[r\]\{(.*)\}", text):
            text = stacked[1].replace(r" \\ ", "\n")
        row += [_untex(text), *[""] * (int(span[1]) - 1 if span else 0)]
    return row


def _untex(text: str) -> str:
    pattern = "|".join(map(re.escape, sorted(_TEX, key=len, reverse=True)))
    return re.sub(pattern, lambda match: _TEX[match[0]], text)


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.blocks: Blocks = []
        self._cell: list[str] | None = None
        self._span = 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.blocks.append([])
        elif tag == "tr":
            self.blocks[-1].append([])
        elif tag in {"th", "td"}:
            self._cell, self._span = [], int(dict(attrs).get("colspan") or 1)
        elif tag == "br" and self._cell is not None:
            self._cell.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"th", "td"} and self._cell is not None:
            self.blocks[-1][-1] += ["".join(self._cell), *[""] * (self._span - 1)]
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)


READERS = {"csv": from_csv, "md": from_markdown, "tex": from_latex, "html": from_html}
