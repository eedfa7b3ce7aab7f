from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from benchmark.errors import ConfigError, StaleArtifactError
from benchmark.jobs import ReportJob
from benchmark.published.results import FOLDER, load_published_results
from benchmark.reporting.report import report
from benchmark.reporting.tables import render_tables
from benchmark.statistics.aggregate import aggregate
from benchmark.workspace import Workspace
from tests.reporting.conftest import CLAIMS, render
from tests.statistics.synthetic import REASON, write_workspace

Project = tuple[ReportJob, Workspace]
PAPERS = ("fonseca2021", "srivastava2022", "lin2022", "wang2021", "tagliasacchi2020")
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


def rendered_again(project: Project, root: Path, **changes: object) -> Workspace:
    """A copy of the project whose job differs in ``changes``, with the figures that the project has."""
    job, workspace = project
    shutil.copytree(workspace.root, root, dirs_exist_ok=True)
    copy, changed = Workspace(root, workspace.profile), job.model_copy(update=changes)
    aggregate(changed, copy)
    for study in changed.studies:
        render_tables(changed, copy, study)
    report(changed, copy)
    return copy


def test_the_papers_stand_on_the_page(project: Project):
    _, workspace = project
    text = page(workspace)
    assert [f'id="tables-{paper}"' in text for paper in PAPERS] == [True] * len(PAPERS)
    assert text.count("this profile ran no study of ") == len(PAPERS)
    assert "Normalized accuracy (averaged over tasks and replicas)" in text  # the caption of a paper's table
    assert "0.58 ± 0.06" in text
    assert text.count("<article ") == CLAIMS
    assert "What running it takes".lower() in text.lower()
    assert "Where a paper contradicts itself" in text
    assert "What fonseca2021 does not say, and what is done" in text


def test_ids_are_unique(project: Project):
    ids = re.findall(r'\bid="([^"]+)"', page(project[1]))
    assert len(ids) == len(set(ids))


def test_the_page_stays_small_and_folds_what_is_long(project: Project):
    text = page(project[1])
    assert len(text.encode()) < 1_000_000
    assert text.count("<details") > CLAIMS + 2 * len(PAPERS)


def test_our_scores_stand_in_the_tables_of_a_paper_that_was_run(project: Project, tmp_path: Path):
    """One cell of fonseca2021 has scores of ours, the others say why not."""
    job, workspace = project
    shutil.copytree(workspace.root, tmp_path, dirs_exist_ok=True)
    copy = Workspace(tmp_path, workspace.profile)
    printed, ours = add_fonseca2021(copy)
    report(job, copy)
    text = page(copy)
    assert "5 of 39 printed numbers beside ours: 0 within our interval, 0 outside, 5 without an interval" in text
    assert text.count(f"<td>{printed:.1f}<br>{ours:.1f}<br>{ours - printed:+.1f}, no interval</td>") == 5
    assert text.count("this profile ran no study of ") == len(PAPERS) - 1
    assert "no score with " in text


def add_fonseca2021(workspace: Workspace) -> tuple[float, float]:
    """The scores of SimCLR on ESC-10 a second time, with the key of a number that fonseca2021 prints in five cells.

    Returns:
        That number and the mean of the scores, in percent.
    """
    printed = load_published_results(workspace.root)
    wanted = printed[(printed["paper"] == "fonseca2021") & (printed["ours_or_prior"] == "this")].iloc[0]
    file = workspace.results / "scores" / "scores.csv"
    scores = pd.read_csv(file, dtype=str, keep_default_na=False)
    own = (scores["run"] == "simclr") & (scores["task"] == "esc10") & (scores["variant"] == "default")
    columns = ["method", "encoder", "pretrain_dataset", "variant", "task", "protocol", "train_size", "metric"]
    added = scores[own & (scores["protocol"] == "linear")].assign(study="fonseca2021", **wanted[columns])
    pd.concat([scores, added]).to_csv(file, index=False, lineterminator="\n")
    return float(wanted["value"]), 100 * added["value"].astype(float).mean()


def test_a_changed_number_of_the_papers_changes_the_page(project: Project, tmp_path: Path):
    job, workspace = project
    shutil.copytree(workspace.root, tmp_path, dirs_exist_ok=True)
    file = tmp_path / FOLDER / "published_results.csv"
    text = file.read_text()
    assert ",0.58," in text
    file.write_text(text.replace(",0.58,", ",0.57,"))
    copy = Workspace(tmp_path, workspace.profile)
    report(job, copy)
    assert "0.57 ± 0.06" in page(copy)
    assert "0.58 ± 0.06" not in page(copy)


def test_without_the_papers_the_error_is_one_sentence(project: Project, tmp_path: Path):
    job, workspace = project
    shutil.copytree(workspace.root, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / FOLDER)
    with pytest.raises(ConfigError, match=r"claims\.yaml does not exist|tables\.yaml does not exist"):
        report(job, Workspace(tmp_path, workspace.profile))


def test_real_results_carry_no_banner(project: Project, tmp_path: Path):
    workspace = rendered_again(project, tmp_path, standin=False)
    assert "Stand-in" not in page(workspace)
    assert "Stand-in" not in (workspace.results / "report" / "summary.md").read_text()


def test_titles_are_escaped(project: Project, tmp_path: Path):
    facts = project[0].runs["small"]
    renamed = facts["simclr"].model_copy(update={"title": "<script>alert(1)</script>"})
    workspace = rendered_again(project, tmp_path, runs={"small": {**facts, "simclr": renamed}})
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


def test_without_figures_the_error_is_one_sentence(project: Project, tmp_path: Path):
    job, workspace = project[0], Workspace(tmp_path, project[1].profile)
    shutil.copytree(project[1].root, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(workspace.results / "figures")
    with pytest.raises(StaleArtifactError, match="figures/small does not exist; run `dvc repro`"):
        report(job, workspace)


def test_statistics_and_reporting_never_import_torch():
    modules = "benchmark.statistics.aggregate, benchmark.reporting.report, benchmark.reporting.figures"
    code = f"import sys, {modules}; from benchmark.reporting.results import task_title; task_title('esc10')"
    subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=True)
