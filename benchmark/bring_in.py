"""A model from outside, from its name on the command line to its rows in the tables: the stages of one run in order."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark import registry
from benchmark.artifacts import read_json
from benchmark.config import Study, load_params
from benchmark.errors import ConfigError
from benchmark.jobs import ReportJob, read_job
from benchmark.outside import OutsideModel, forget_outside, frozen_protocols, joined, outside_models, write_outside
from benchmark.plan import profile_of
from benchmark.selection import select_profile
from benchmark.studies import load_study
from benchmark.workspace import Workspace

Say = Callable[[str], None]
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def describe(
    workspace: Workspace,
    model: str,
    weights: Path | None,
    *,
    name: str,
    title: str | None = None,
    study: str | None = None,
    tasks: Sequence[str] = (),
    protocols: Sequence[str] = (),
    window_seconds: float | None = None,
) -> OutsideModel:
    """Load a model once, to learn its sample rate and size, and say what it is to be scored on.

    Args:
        workspace: of the profile whose studies are meant.
        model: ``module`` or ``module:object``.
        weights: handed to the module's ``load_model``.
        name: of the run that it becomes.
        title: its row's name in the tables; ``name`` where there is none.
        study: whose tables it joins; None: the profile's first that has all the tasks.
        tasks: of the study; none: all.
        protocols: of the study; none: those for frozen embeddings.
        window_seconds: embed windows of that length; None: whole clips.

    Raises:
        ConfigError: the name is taken, the study lacks a task or protocol, or the model does not speak the HEAR API.
    """
    from benchmark.signal.hear_api import load_hear

    if not _NAME.fullmatch(name):
        raise ConfigError(f"--name {name!r} is no name of a run: lower-case letters, digits and underscores.")
    if weights is not None and not weights.is_file():
        raise ConfigError(f"The weights {weights} do not exist; --weights names a file.")
    chosen = _study(workspace, study, tasks, name)
    module, _, attribute = model.partition(":")
    hear = load_hear(module, attribute, weights)
    described = OutsideModel(
        title=title or name,
        module=module,
        attribute=attribute,
        weights="" if weights is None else _recorded(weights.resolve(), workspace.root),
        sample_rate=hear.sample_rate,
        embedding_size=hear.scene_embedding_size,
        window_seconds=window_seconds,
        study=chosen.id,
        tasks=tuple(tasks) or chosen.tasks,
        protocols=tuple(protocols) or frozen_protocols(chosen),
    )
    joined(chosen, name, described)
    return described


def bring_in(workspace: Workspace, name: str, model: OutsideModel) -> bool:
    """Record the model and select the profile, so that it is one of its runs; True where ``params.yaml`` had to change."""
    write_outside(workspace.root, name, model)
    return select_profile(workspace.root, workspace.profile)


def score(workspace: Workspace, name: str, say: Say) -> bool:
    """Prepare what is missing, export and score the model, and write the tables where every other run is there.

    Returns:
        Whether the tables were written.
    """
    from benchmark.stages import (
        aggregate_stage,
        evaluate_stage,
        plan_stage,
        pretrain_stage,
        report_stage,
        scan_stage,
        tables_stage,
    )

    model = outside_models(workspace.root)[name]
    run = f"{name}-0"
    scan_stage(workspace)
    _prepare_missing(workspace, model)
    plan_stage(workspace)
    pretrain_stage(workspace, run)
    evaluate_stage(workspace, run)
    job = read_job(ReportJob, workspace.plan("report", "aggregate"))
    names = [each for runs in job.runs.values() for facts in runs.values() for each in facts.names]
    if unscored := [each for each in names if not (workspace.evaluation(each) / "scores.csv").exists()]:
        say(
            f"{len(unscored)} other runs of profile {workspace.profile} have not been scored ({unscored[0]} for one); "
            "`dvc repro` scores them and writes the tables, this model among the rest."
        )
        return False
    aggregate_stage(workspace)
    for study in job.studies:
        tables_stage(workspace, study)
    report_stage(workspace)
    return True


def forget(root: Path, name: str) -> None:
    """Remove a model and what its stages left in every profile; the tables lose its rows when they are next made.

    Raises:
        ConfigError: there is no such model.
    """
    forget_outside(root, name)
    select_profile(root, load_params(root).profile[0])
    for folder in ("runs", "evaluations", "curves"):
        for left in (root / "build").glob(f"*/{folder}/{name}-0"):
            shutil.rmtree(left)
    for file in (root / "build").glob(f"*/plan/*/{name}-0.json"):
        file.unlink()


def _study(workspace: Workspace, study: str | None, tasks: Sequence[str], name: str) -> Study:
    """The study whose tables the model joins, without an earlier model of the same name."""
    profile = profile_of(load_params(workspace.root), workspace.profile)
    if study is not None and study not in profile.studies:
        hint = registry.nearest(study, list(profile.studies))
        raise ConfigError(f"The profile {workspace.profile} has no study {study!r}: {hint}")
    earlier = outside_models(workspace.root)
    studies = [load_study(workspace.root, each) for each in profile.studies]
    for each in studies:
        if name in each.runs and name not in earlier:
            raise ConfigError(f"The study {each.id} has a run {name!r}; choose another --name.")
    fitting = [each for each in studies if (study is None or each.id == study) and set(tasks) <= set(each.tasks)]
    if not fitting:
        asked = [each for each in studies if study is None or each.id == study]
        known = sorted({task for each in asked for task in each.tasks})
        unknown = next((task for task in tasks if task not in known), None)
        if unknown is None:
            raise ConfigError(
                "No one study has all of these tasks; score them study by study, each under another --name."
            )
        where = study or f"the studies of profile {workspace.profile}"
        raise ConfigError(f"Unknown task {unknown!r} in {where}: {registry.nearest(unknown, known)}")
    chosen = fitting[0]
    return chosen.model_copy(update={"runs": {run: spec for run, spec in chosen.runs.items() if run != name}})


def _recorded(weights: Path, root: Path) -> str:
    return str(weights.relative_to(root) if weights.is_relative_to(root) else weights)


def _prepare_missing(workspace: Workspace, model: OutsideModel) -> None:
    """Prepare the tasks' datasets at the model's rate, where that has not been done or the data has come since."""
    from benchmark.stages import prepare_stage

    for dataset in sorted({registry.load("task", task).dataset for task in model.tasks}):
        corpus = f"{dataset}-{model.sample_rate}"
        manifest = workspace.manifest(dataset, model.sample_rate)
        if manifest.exists() and not (
            read_json(manifest)["status"] == "absent" and read_json(workspace.scan(corpus))["present"]
        ):
            continue
        prepare_stage(workspace, corpus)
