"""``benchmark grid``: evaluation of all runs on Ray."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from benchmark.commands.common import ProfileOption, chosen_workspace


def grid(
    profile: ProfileOption = None,
    run: Annotated[Optional[list[str]], typer.Option(help="Run and seed; may be repeated. Default: all.")] = None,  # noqa: UP045
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Cells at a time on this machine; default: what its cores allow."),
    ] = None,
    address: Annotated[
        str, typer.Option(help="`local`, `auto` for the Ray cluster of this machine, or host:port of its head.")
    ] = "local",
    assemble: Annotated[
        bool, typer.Option("--assemble/--no-assemble", help="Write each run's scores once its cells are there.")
    ] = True,
) -> None:
    """Evaluate pre-trained runs on Ray, then write their scores: the bytes of the stage on one machine."""
    from benchmark.config import load_params
    from benchmark.errors import GridError
    from benchmark.evaluation.grid import Cluster, run_grid
    from benchmark.jobs import EvaluateJob, read_job
    from benchmark.plan import active_stages
    from benchmark.stages import evaluate_stage

    workspace = chosen_workspace(profile)
    names = run or active_stages(workspace.root, load_params(workspace.root), workspace.profile)["runs"]
    jobs = [read_job(EvaluateJob, workspace.plan("evaluate", name)) for name in names]
    outcome = run_grid(jobs, workspace, Cluster(address, workers), lambda line: typer.echo(line, err=True))
    typer.echo(f"{outcome.computed} cells computed, {outcome.cached} were there, {len(outcome.failed)} failed.")
    incomplete = {unit.run for unit in outcome.failed}
    for name in names if assemble else ():
        if name not in incomplete:
            evaluate_stage(workspace, name)
    if incomplete:
        raise GridError(
            f"{len(outcome.failed)} cells of {', '.join(sorted(incomplete))} failed, for the reasons above; "
            "all others are kept, so mend the cause and run the same command again."
        )
