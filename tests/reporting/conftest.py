from __future__ import annotations

import pytest

from benchmark.jobs import ReportJob
from benchmark.reporting.figures import render_figures
from benchmark.reporting.report import report
from benchmark.reporting.tables import render_tables
from benchmark.statistics.aggregate import aggregate
from benchmark.workspace import Workspace
from tests.statistics.synthetic import write_workspace

Project = tuple[ReportJob, Workspace]


def render(job: ReportJob, workspace: Workspace) -> None:
    """Aggregate, tables, figures and report, as the stages run them."""
    aggregate(job, workspace)
    for study in job.studies:
        render_tables(job, workspace, study)
        render_figures(job, workspace, study)
    report(job, workspace)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    job, workspace = write_workspace(tmp_path_factory.mktemp("project"))
    render(job, workspace)
    return job, workspace
