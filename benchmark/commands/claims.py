"""`benchmark claims`: the papers' claims against their own numbers, and against our scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from benchmark.commands.common import ProfileOption, chosen_workspace
from benchmark.workspace import Workspace, project_root

if TYPE_CHECKING:
    from benchmark.config import Profile
    from benchmark.statistics.claims.grammar import ClaimsFile
    from benchmark.statistics.claims.scores import ScoreTable
    from benchmark.statistics.claims.verdicts import Evidence
    from benchmark.statistics.decisions import SeedTest


def claims(
    published: Annotated[bool, typer.Option("--published", help="Check every claim on the printed numbers.")] = False,
    profile: ProfileOption = None,
    out: Annotated[Optional[Path], typer.Option(help="Folder for claims.md, .html and .json.")] = None,  # noqa: UP045
    bindings: Annotated[Optional[Path], typer.Option(help="YAML of ids that stand in for a claim's.")] = None,  # noqa: UP045
    exact: Annotated[bool, typer.Option("--exact", help="Exact permutation instead of t tests.")] = False,
) -> None:
    """Every claim of the papers: what its own numbers say, and our verdict."""
    from benchmark.statistics.claims.grammar import load_claims
    from benchmark.statistics.claims.published import published_scores

    root = project_root()
    file = load_claims(root)
    table = published_scores(root)
    if published:
        _check_published(file, table)
    else:
        _assess(file, table, root, profile, out, bindings, "exact" if exact else "t")


def _check_published(file: ClaimsFile, table: ScoreTable) -> None:
    """Print the verdict of each claim on the printed numbers; exit 1 where one is not what the file expects."""
    from collections import Counter

    from benchmark.statistics.claims.published import judge_published

    verdicts = [judge_published(claim, table) for claim in file.claims]
    for verdict in verdicts:
        note = "" if verdict.agrees else f"  EXPECTED {verdict.expected}"
        reason = f"  ({verdict.reason})" if verdict.reason else ""
        typer.echo(f"{verdict.verdict:<13}  {verdict.claim.id}{note}{reason}")
    counts = Counter(verdict.verdict for verdict in verdicts)
    differing = sum(not verdict.agrees for verdict in verdicts)
    typer.echo(
        f"{counts['true']} true, {counts['false']} false, {counts['not_evaluable']} not evaluable; "
        f"{differing} differ from what claims.yaml expects"
    )
    if differing:
        raise typer.Exit(1)


def _assess(
    file: ClaimsFile,
    table: ScoreTable,
    root: Path,
    profile: str | None,
    out: Path | None,
    bindings: Path | None,
    test: SeedTest,
) -> None:
    from benchmark.config import load_params
    from benchmark.plan import profile_of
    from benchmark.reporting.claims import totals_table, write_claims
    from benchmark.reporting.formats import as_markdown
    from benchmark.statistics.claims.assessment import assess
    from benchmark.statistics.claims.bindings import load_bindings
    from benchmark.statistics.claims.departures import scale_departures

    params = load_params(root)
    workspace = chosen_workspace(profile)
    name = workspace.profile
    settings = profile_of(params, name)
    evidence = _evidence(workspace, settings, params.seed, file, table, test)
    bound = load_bindings(bindings, file.claims) if bindings else ()
    assessments = assess(file.claims, table, evidence, scale_departures(settings), bound)
    for assessment in assessments:
        verdict, proxy = assessment.verdict, assessment.proxy
        reason = f"  ({verdict.reason})" if verdict.reason else ""
        stand_in = f"  [proxy: {proxy.outcome}]" if proxy else ""
        typer.echo(f"{verdict.outcome:<12}  {assessment.claim.id}{stand_in}{reason}")
    typer.echo(as_markdown(totals_table(assessments)))
    if out is not None:
        write_claims(out, name, assessments)
        typer.echo(f"Wrote {out / 'claims.md'}, {out / 'claims.html'} and {out / 'claims.json'}.")


def _evidence(
    workspace: Workspace, profile: Profile, seed: int, file: ClaimsFile, table: ScoreTable, test: SeedTest
) -> Evidence | str:
    """The profile's scores, or why there are none."""
    from benchmark import registry
    from benchmark.columns import SCORE_COLUMNS
    from benchmark.statistics.claims.evidence import profile_evidence
    from benchmark.statistics.inputs import read_table, scores_folder

    scores = scores_folder(workspace) / "scores.csv"
    if not scores.exists():
        return f"profile {workspace.profile} has no scores; run `benchmark select {workspace.profile}` and `dvc repro`"
    tasks = sorted(set(read_table(scores, SCORE_COLUMNS)["task"]))
    metrics = {task: registry.load("task", task).metric for task in tasks}
    return profile_evidence(workspace, table, file.task_groups, metrics, profile.bootstrap, seed, test)
