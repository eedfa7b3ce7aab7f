"""What the report shows of the papers: their tables beside our scores, their claims, errata and choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmark.jobs import ReportJob
from benchmark.published.errata import read_errata
from benchmark.published.layout import Published, load_published
from benchmark.reporting.claims import records_by_paper, totals_table
from benchmark.reporting.errata import errata_tables
from benchmark.reporting.formats import AnyTable, Table
from benchmark.reporting.own_scores import OwnScores, read_own_scores
from benchmark.reporting.published_tables import comparisons, paper_tables
from benchmark.statistics.claims.assessment import Assessment, assess
from benchmark.statistics.claims.evidence import profile_evidence
from benchmark.statistics.claims.grammar import load_claims
from benchmark.statistics.claims.published import published_scores
from benchmark.statistics.inputs import scores_folder
from benchmark.workspace import Workspace


@dataclass(frozen=True)
class PaperTables:
    """The tables of one paper and what can be said of all of them."""

    paper: str
    summary: str
    tables: list[AnyTable]


@dataclass(frozen=True)
class Papers:
    """What the page shows of the papers."""

    tables: list[PaperTables]
    totals: Table
    """Verdicts on the claims by paper."""
    claims: dict[str, list[dict[str, Any]]]
    """Paper -> its claims, as :func:`benchmark.reporting.claims.record` gives them."""
    errata: list[Table]


def read_papers(job: ReportJob, workspace: Workspace) -> Papers:
    """The papers' side of a profile's report.

    Raises:
        ConfigError: a file of ``results/published`` or ``results/errata.yaml`` is missing or malformed.
        StaleArtifactError: aggregation has not run.
    """
    published = load_published(workspace.root)
    own = read_own_scores(scores_folder(workspace), published.settings.task_groups)
    assessments = _assessments(job, workspace)
    return Papers(
        tables=[_paper_tables(published, paper, own) for paper in published.layouts.papers],
        totals=totals_table(assessments),
        claims=records_by_paper(assessments),
        errata=errata_tables(read_errata(workspace.root)),
    )


def _paper_tables(published: Published, paper: str, own: OwnScores) -> PaperTables:
    """With our scores where the profile ran a study of the paper; as printed, with a sentence that says so, elsewhere."""
    if not own.has(paper):
        summary = f"as printed: this profile ran no study of {paper}"
        return PaperTables(paper, summary, list(paper_tables(published, paper, None)))
    cells = comparisons(published, own, paper)
    measured = [cell for cell in cells if cell.difference is not None]
    within = sum(cell.within is True for cell in measured)
    outside = sum(cell.within is False for cell in measured)
    summary = (
        f"{len(measured)} of {len(cells)} printed numbers beside ours: {within} within our interval, {outside} outside, "
        f"{len(measured) - within - outside} without an interval"
    )
    return PaperTables(paper, summary, list(paper_tables(published, paper, own)))


def _assessments(job: ReportJob, workspace: Workspace) -> list[Assessment]:
    file, printed = load_claims(workspace.root), published_scores(workspace.root)
    evidence = profile_evidence(workspace, printed, file.task_groups, job.metrics, job.bootstrap, job.seed)
    return assess(file.claims, printed, evidence, job.departures)
