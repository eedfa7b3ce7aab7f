from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmark.errors import StaleArtifactError
from benchmark.jobs import ReportJob
from benchmark.reporting.report import report
from benchmark.workspace import Workspace
from tests.reporting.conftest import render
from tests.statistics.synthetic import REASON, default_runs, write_workspace

Project = tuple[ReportJob, Workspace]
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Checks that tags nest, and collects addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "data"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page(workspace: Workspace) -> str:
    return (workspace.results / "report" / "index.html").read_text()


def test_the_page_is_one_file(project: Project):
    _, workspace = project
    addresses = Page(page(workspace)).addresses
    assert sum(address.startswith("data:image/svg+xml;base64,") for address in addresses) == 3
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"https?://|@import|url\(", page(workspace))


def test_links_within_the_page_lead_somewhere(project: Project):
    _, workspace = project
    text = page(workspace)
    targets = [address[1:] for address in Page(text).addresses if address.startswith("#")]
    assert targets
    assert all(f'id="{target}"' in text for target in targets)


def test_what_a_reader_needs_is_there(project: Project):
    _, workspace = project
    text = page(workspace)
    for wanted in (
        "Stand-in data: synthetic audio, not results.", "Everything here is made up.", "pre-training helps", REASON,
        "Normalised accuracy", "effective rank", "850", "4,567,104", "torch 2.11.0", "prefers-color-scheme: dark",
    ):  # fmt: skip
        assert wanted in text, wanted


def test_real_results_carry_no_banner(tmp_path: Path):
    job, workspace = write_workspace(tmp_path, standin=False)
    render(job, workspace)
    assert "Stand-in" not in page(workspace)
    assert "Stand-in" not in (workspace.results / "report" / "summary.md").read_text()


def test_titles_are_escaped(tmp_path: Path):
    runs = default_runs()
    runs["simclr"].title = "<script>alert(1)</script>"
    job, workspace = write_workspace(tmp_path, runs)
    render(job, workspace)
    assert "<script>" not in page(workspace)
    assert "&lt;script&gt;" in page(workspace)
    assert "SimCLR &amp; mix-back" in page(workspace)  # the study's own title, in the tables


def test_summary_holds_the_first_table_and_the_findings(project: Project):
    _, workspace = project
    summary = (workspace.results / "report" / "summary.md").read_text()
    table = (workspace.results / "tables" / "small" / "accuracy.md").read_text()
    assert table in summary
    assert "pre-training helps here" in summary


def test_equal_inputs_give_equal_bytes(project: Project, tmp_path: Path):
    _, first = project
    job, second = write_workspace(tmp_path)
    render(job, second)
    files = sorted(path.relative_to(first.results) for path in first.results.rglob("*") if path.is_file())
    assert len(files) > 20
    for file in files:
        assert (first.results / file).read_bytes() == (second.results / file).read_bytes(), file


def test_without_figures_the_error_is_one_sentence(tmp_path: Path):
    job, workspace = write_workspace(tmp_path)
    render(job, workspace)
    shutil.rmtree(workspace.results / "figures")
    with pytest.raises(StaleArtifactError, match="figures/small does not exist; run `dvc repro`"):
        report(job, workspace)


def test_statistics_and_reporting_never_import_torch():
    modules = "benchmark.statistics.aggregate, benchmark.reporting.report, benchmark.reporting.figures"
    code = f"import sys, {modules}; from benchmark.reporting.results import task_title; task_title('esc10')"
    subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=True)
