"""What a person asks before running anything: which plugins, runs and studies there are, and what a profile would cost."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from benchmark import registry
from benchmark.config import load_params, load_study
from benchmark.jobs import PretrainJob
from benchmark.plan import Planner, entries, profile_of
from benchmark.workspace import Workspace, project_root

Row = dict[str, str]


def listing(what: str, workspace: Workspace | None) -> list[Row]:
    """Names and one line about each; ``workspace`` is needed for runs only."""
    if workspace is not None:
        return _runs(workspace)
    if what in {"studies", "profiles"}:
        return _studies() if what == "studies" else _profiles()
    kind: registry.Kind = what.removesuffix("s")  # type: ignore[assignment]
    return [
        {"name": plugin.name, "about": f"{plugin.module}:{plugin.attribute} ({plugin.origin})"}
        for plugin in registry.plugins(kind).values()
    ]


def _runs(workspace: Workspace) -> list[Row]:
    profile = profile_of(load_params(workspace.root), workspace.profile)
    found = entries(workspace.root, profile, f"params.yaml: profiles.{workspace.profile}")
    return [
        {
            "name": entry.family,
            "about": f"{entry.study.id}: {entry.spec.title} ({entry.spec.method}, {entry.spec.encoder}), "
            f"{len(entry.seeds)} seeds, on {'+'.join(entry.spec.data) or entry.spec.task or 'nothing'}",
        }
        for entry in found
    ]


def _studies() -> list[Row]:
    root = project_root()
    studies = [load_study(root, file.stem) for file in sorted((root / "studies").glob("*.yaml"))]
    return [{"name": s.id, "about": f"{s.title} ({len(s.runs)} runs, {len(s.tasks)} tasks)"} for s in studies]


def _profiles() -> list[Row]:
    params = load_params(project_root())
    return [
        {"name": name, "about": f"{profile.data} data, studies {', '.join(profile.studies)}"}
        for name, profile in params.profiles.items()
    ]


def show_plan(workspace: Workspace, study: str | None) -> None:
    """Print, run by run, the data, clips, parameters, steps, batch and compute of a profile."""
    params = load_params(workspace.root)
    planner = Planner(workspace, params)
    if study is not None:
        load_study(workspace.root, study)
    typer.echo(f"{'run':<26} {'parameters':>11} {'steps':>8} {'batch':>6} {'clips':>8}  data")
    for job in planner.pretrain_jobs():
        if study in {None, job.study} and job.seed == params.seed:
            typer.echo(_line(planner, job))
    typer.echo(
        "Counts are of one seed; clips are those prepared, before recordings shared with an evaluated dataset are dropped."
    )


def _line(planner: Planner, job: PretrainJob) -> str:
    parameters = planner.resolved[job.run].parameters
    training, clips = job.training, sum(_clips(planner, job))
    steps = training.steps if training.steps is not None else _epochs_as_steps(job, clips)
    batch = training.batch_size if steps else 0
    data = "+".join(f"{ref.dataset}-{ref.rate}" for ref in job.sources) or "none"
    reason = f"  (not run: {job.reason})" if job.status == "not run" else ""
    return f"{job.run:<26} {parameters:>11,} {steps or 0:>8,} {batch:>6} {clips:>8,}  {data}{reason}"


def _epochs_as_steps(job: PretrainJob, clips: int) -> int:
    return (job.training.epochs or 0) * -(-clips // job.training.batch_size)


def _clips(planner: Planner, job: PretrainJob) -> Iterator[int]:
    for ref in job.sources:
        yield int(planner.manifest(ref.dataset, ref.rate).get("coverage", {}).get("clips", 0))
