"""The report: one page that opens from disk, and a short summary in Markdown."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.artifacts import write_text
from benchmark.config import Study
from benchmark.errors import StaleArtifactError
from benchmark.jobs import ReportJob
from benchmark.reporting.audit import comparison_table, diagnostics_table, missing_table, provenance_table, versions
from benchmark.reporting.formats import Table, as_markdown, environment
from benchmark.reporting.papers import read_papers
from benchmark.reporting.results import BANNER, Results, read_results
from benchmark.reporting.tables import study_tables
from benchmark.studies import load_study
from benchmark.workspace import Workspace

FIGURES = {
    "accuracy": "Accuracy of every run on each task: a dot for the mean, a bar for the 95 % interval, a tick a seed.",
    "steps": "Accuracy by steps of pre-training: a line for the mean over seeds, a dot for each seed.",
    "curves": "Training loss by step, one line for each seed and fold.",
}


@dataclass(frozen=True)
class Figure:
    """A figure as the page embeds it."""

    source: str
    caption: str


@dataclass(frozen=True)
class Section:
    """What the page shows of one study."""

    study: Study
    findings: list[dict[str, Any]]
    tables: list[Table]
    figures: list[Figure]
    comparisons: Table
    missing: Table
    transductive: list[str]


def report(job: ReportJob, workspace: Workspace) -> None:
    """Write ``results/<profile>/report/index.html`` and ``summary.md`` from the results and figures of all studies.

    Raises:
        ConfigError: what the papers published, or the errata, are missing or malformed.
        StaleArtifactError: aggregation or a study's figures are missing.
    """
    results = read_results(workspace)
    sections = [_section(job, workspace, study, results) for study in job.runs]
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            job=job,
            banner=BANNER if job.standin else "",
            rule=results.findings["rule"],
            saturation=results.findings["saturation"],
            sections=sections,
            papers=read_papers(job, workspace),
            diagnostics=diagnostics_table(results),
            provenance=provenance_table(results),
            versions=versions(results),
        )
    )
    folder = workspace.results / "report"
    write_text(folder / "index.html", page)
    write_text(folder / "summary.md", summary(job, sections))


def summary(job: ReportJob, sections: list[Section]) -> str:
    """The first table and the findings of every study, in Markdown."""
    lines = [f"# Results of profile `{job.profile}`", ""]
    for section in sections:
        lines += [f"## {section.study.title}", "", as_markdown(section.tables[0]) if section.tables else "No table."]
        lines += [*(f"- {finding['statement']}" for finding in section.findings), ""]
    return "\n".join(lines).rstrip() + "\n"


def _section(job: ReportJob, workspace: Workspace, name: str, results: Results) -> Section:
    study, own = load_study(workspace.root, name), results.of(name)
    return Section(
        study=study,
        findings=results.findings["studies"].get(name, []),
        tables=study_tables(job, study, results, workspace.root),
        figures=_figures(workspace.results / "figures" / name, study),
        comparisons=comparison_table(own),
        missing=missing_table(own),
        transductive=[facts.title for facts in job.runs[name].values() if facts.transductive],
    )


def _figures(folder: Path, study: Study) -> list[Figure]:
    """A study's figures as data addresses: several SVG documents inline would share ids and style sheets."""
    if not folder.is_dir():
        raise StaleArtifactError(f"{folder} does not exist; run `dvc repro` so that the stage before makes it.")
    captions = {**FIGURES, **{name: spec.caption for name, spec in study.figures.items()}}
    paths = {folder / f"{name}.svg": caption for name, caption in captions.items()}
    return [
        Figure("data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode(), caption)
        for path, caption in paths.items()
        if path.exists()
    ]
