"""``benchmark evaluate``, of a run, a share of one or a model from outside, and ``benchmark forget``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Optional

import typer

from benchmark.commands.common import ProfileOption, chosen_workspace
from benchmark.errors import ConfigError
from benchmark.workspace import Workspace, project_root


def evaluate(
    run: Annotated[Optional[str], typer.Option(help="Run and seed, e.g. simclr_us8k-0.")] = None,  # noqa: UP045
    profile: ProfileOption = None,
    shard: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="With --run: only fill the cache with one share of its cells, e.g. 2/8; the stage finds them."
        ),
    ] = None,
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="A model from outside instead: module[:object] that speaks the HEAR API. Its code is run."),
    ] = None,
    weights: Annotated[Optional[Path], typer.Option(help="With --model: file that its load_model is given.")] = None,  # noqa: UP045
    name: Annotated[Optional[str], typer.Option(help="With --model: name of its run; default: the module's.")] = None,  # noqa: UP045
    title: Annotated[Optional[str], typer.Option(help="With --model: its row's name in the tables.")] = None,  # noqa: UP045
    study: Annotated[Optional[str], typer.Option(help="With --model: the study whose tables it joins.")] = None,  # noqa: UP045
    tasks: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="With --model: comma-separated tasks of the study, or all."),
    ] = None,
    protocols: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="With --model: comma-separated; default: the study's for frozen clip embeddings."),
    ] = None,
    window: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="With --model: embed fixed windows of so many seconds, not whole clips."),
    ] = None,
) -> None:
    """Score one run on all its tasks under all its protocols (a stage), or a model from outside by the HEAR API."""
    if (run is None) == (model is None):
        raise ConfigError("Say what to score by one of --run <run>-<seed> and --model <module>.")
    workspace = chosen_workspace(profile)
    if run is not None:
        if any(option is not None for option in (weights, name, title, study, tasks, protocols, window)):
            raise ConfigError("A run is scored as its study says; --weights, --tasks and the like belong to --model.")
        return _evaluate_run(workspace, run, shard)
    if shard is not None:
        raise ConfigError("A model from outside is scored whole; --shard belongs to --run.")
    from benchmark.bring_in import bring_in, describe, score

    assert model is not None
    chosen = name or re.sub(r"\W+", "_", model).strip("_").lower()
    described = describe(
        workspace,
        model,
        weights,
        name=chosen,
        title=title,
        study=study,
        tasks=() if tasks in {None, "all"} else _split(tasks),
        protocols=_split(protocols),
        window_seconds=window,
    )
    if bring_in(workspace, chosen, described):
        typer.echo(f"params.yaml: profile {workspace.profile} selected anew, with this model among its runs.")
    facts = f"{described.sample_rate} Hz, {described.embedding_size} values"
    typer.echo(f"outside/{chosen}.yaml: {model}, {facts}, {len(described.tasks)} tasks of {described.study}.")
    tabled = score(workspace, chosen, typer.echo)
    _show(workspace, chosen, described.study, tabled)
    return None


def _evaluate_run(workspace: Workspace, run: str, shard: str | None) -> None:
    from benchmark.stages import evaluate_shard, evaluate_stage

    if shard is None:
        return evaluate_stage(workspace, run)
    count = evaluate_shard(workspace, run, shard)
    return typer.echo(f"{run}, shard {shard}: {count} cells are in the cache.")


def forget(name: Annotated[str, typer.Argument(help="Name of the outside model, as in outside/<name>.yaml.")]) -> None:
    """Remove a model from outside from the studies, and what its stages left."""
    from benchmark.bring_in import forget as remove

    remove(project_root(), name)
    typer.echo(f"{name} is no run any more; `dvc repro` writes the tables without it.")


def _split(names: str | None) -> list[str]:
    return [part for part in (each.strip() for each in (names or "").split(",")) if part]


def _show(workspace: Workspace, name: str, study: str, tabled: bool) -> None:
    """The model's own scores and, where they were made, the first table that it has a row in."""
    import pandas as pd

    from benchmark import registry
    from benchmark.config import load_params
    from benchmark.plan import profile_of
    from benchmark.reporting.results import BANNER
    from benchmark.studies import load_study

    scores = pd.read_csv(
        workspace.evaluation(f"{name}-0") / "scores.csv", keep_default_na=False, dtype={"train_size": str}
    )
    own = scores["task"].map(lambda task: registry.load("task", task).metric)
    shown = scores[(scores["fold"] == "mean") & (scores["unit"] == "clip") & (scores["metric"] == own)]
    for keys, rows in shown.groupby(["task", "protocol", "train_size", "metric"], sort=False):
        task, protocol, size, metric = keys
        found = pd.to_numeric(rows["value"], errors="coerce").mean()
        value = f"not run: {rows['reason'].iloc[0]}" if pd.isna(found) else f"{100 * found:5.1f} %"
        typer.echo(f"{task:<24} {protocol:<12} {size:>5}  {metric:<20} {value}")
    if profile_of(load_params(workspace.root), workspace.profile).data == "standin":
        typer.echo(BANNER)
    tables = [key for key, table in load_study(workspace.root, study).tables.items() if name in table.rows]
    if tabled and tables:
        folder = workspace.results / "tables" / study
        typer.echo((folder / f"{tables[0]}.md").read_text(encoding="utf-8"))
        typer.echo(f"Its row is in {', '.join(tables)} of {folder.relative_to(workspace.root)}, and in the report.")
