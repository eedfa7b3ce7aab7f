from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest
import yaml

from benchmark.config import load_yaml
from benchmark.jobs import ReportJob
from benchmark.published.errata import ERRATA_FILE
from benchmark.published.results import CLAIMS_FILE, FOLDER
from benchmark.reporting.figures import render_figures
from benchmark.reporting.report import report
from benchmark.reporting.tables import render_tables
from benchmark.statistics.aggregate import aggregate
from benchmark.workspace import Workspace
from tests.statistics.synthetic import write_workspace

ROOT = Path(__file__).parent.parent.parent
CLAIMS = 10
Project = tuple[ReportJob, Workspace]


@cache
def few_claims() -> str:
    """The claims file with its first claims alone."""
    data = load_yaml(ROOT / CLAIMS_FILE)
    return yaml.dump({**data, "claims": data["claims"][:CLAIMS]}, Dumper=yaml.CSafeDumper)


def add_papers(root: Path) -> None:
    """What the papers published, with ten of their claims, and the errata, below ``root``."""
    if (root / FOLDER).exists():
        return
    shutil.copytree(ROOT / FOLDER, root / FOLDER, ignore=shutil.ignore_patterns(CLAIMS_FILE.name))
    (root / CLAIMS_FILE).write_text(few_claims())
    shutil.copy(ROOT / ERRATA_FILE, root / ERRATA_FILE)


def render(job: ReportJob, workspace: Workspace) -> None:
    """Aggregate, tables, figures and report, as the stages run them."""
    aggregate(job, workspace)
    for study in job.studies:
        render_tables(job, workspace, study)
        render_figures(job, workspace, study)
    add_papers(workspace.root)
    report(job, workspace)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    job, workspace = write_workspace(tmp_path_factory.mktemp("project"))
    render(job, workspace)
    return job, workspace
