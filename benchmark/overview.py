"""What a person asks before running anything: which plugins, runs and studies there are, and what a profile would cost."""

from __future__ import annotations

import typer

from benchmark import registry
from benchmark.config import load_params
from benchmark.corpus.splits import forbidden_rows, task_clips, training_audio
from benchmark.corpus.status import archive_bytes, size
from benchmark.corpus.store import Corpus
from benchmark.jobs import CorpusRef, EvaluateJob, PretrainJob, TaskRef
from benchmark.plan import Planner, entries, profile_of
from benchmark.studies import load_study, study_files
from benchmark.workspace import Workspace, project_root

Row = dict[str, str]

SUSTAINED = 50e12
"""Floating-point operations a second that a GPU is assumed to sustain on these networks in bf16."""

_READING = f"""encoder, trained: parameters. used, skipped: clips to train on, and clips left out because their recording is
evaluated; before the data is prepared, the clips that its record expects. MiB: estimate of weights, gradients, Adam's moments
and float32 activations. hours: pre-training of one seed (and one fold, where a task's labels are used) at an assumed
{SUSTAINED / 1e12:.0f} TFLOP/s. tuning: hours of one seed's fine-tuning, all tasks, folds, train sizes and replicas together;
an upper bound where sizes are smaller than full or data is absent."""

_COLUMNS = "{:<24} {:>5} {:>11} {:>11} {:>8} {:>6} {:>8} {:>8} {:>8} {:>7} {:>7}  "

_PASSES = 3
"""Operations of a training step in those of a forward pass: the backward pass costs two."""


def listing(what: str, workspace: Workspace | None) -> list[Row]:
    """Names and one line about each; ``workspace`` is needed for runs only."""
    if workspace is not None:
        return _runs(workspace)
    if what in {"studies", "profiles"}:
        return _studies() if what == "studies" else _profiles()
    if what == "datasets":
        return _datasets()
    kind: registry.Kind = what.removesuffix("s")  # type: ignore[assignment]
    return [
        {"name": plugin.name, "about": f"{plugin.module}:{plugin.attribute} ({plugin.origin})"}
        for plugin in registry.plugins(kind).values()
    ]


def _datasets() -> list[Row]:
    rows = []
    for plugin in registry.plugins("dataset").values():
        record = plugin.load()
        total = size(*archive_bytes(record.archives))
        facts = {"title": record.title, "licence": record.licence, "access": record.access, "size": total}
        rows.append({"name": plugin.name, "about": f"{'; '.join(facts.values())} ({plugin.origin})", **facts})
    return rows


def _runs(workspace: Workspace) -> list[Row]:
    profile = profile_of(load_params(workspace.root), workspace.profile)
    found = entries(workspace.root, profile, f"params.yaml: profiles.{workspace.profile}")
    return [
        {
            "name": entry.family,
            "about": f"{entry.study.id}: {entry.spec.title} ({entry.spec.method}, {entry.spec.encoder}), "
            f"{len(entry.seeds)} seeds, on {'+'.join(entry.spec.data) or entry.spec.task or entry.spec.labels or 'nothing'}",
        }
        for entry in found
    ]


def _studies() -> list[Row]:
    root = project_root()
    return [
        {"name": s.id, "about": f"{s.title} ({len(s.runs)} runs, {len(s.tasks)} tasks; {file.origin})"}
        for file in study_files(root).values()
        for s in [load_study(root, file.name)]
    ]


def _profiles() -> list[Row]:
    params = load_params(project_root())
    return [
        {"name": name, "about": f"{profile.data} data, studies {', '.join(profile.studies)}"}
        for name, profile in params.profiles.items()
    ]


def show_plan(workspace: Workspace, study: str | None) -> None:
    """Print, run by run, the data, clips used and skipped, parameters, steps, batch, memory and compute of a profile."""
    params = load_params(workspace.root)
    planner = Planner(workspace, params)
    if study is not None:
        load_study(workspace.root, study)
    typer.echo(
        _COLUMNS.format(
            "run", "seeds", "encoder", "trained", "steps", "batch", "used", "skipped", "MiB", "hours", "tuning"
        )
        + "data"
    )
    seeds = {entry.family: len(entry.seeds) for entry in planner.entries}
    for job, scored in zip(planner.pretrain_jobs(), planner.evaluate_jobs(), strict=True):
        if study in {None, job.study} and job.seed == params.seed:
            typer.echo(_line(planner, job, scored, seeds[job.run]))
    typer.echo(_READING)


def _line(planner: Planner, job: PretrainJob, scored: EvaluateJob, seeds: int) -> str:
    resolved, training = planner.resolved[job.run], job.training
    used, skipped = _clips(planner, job)
    steps = training.steps if training.steps is not None else (training.epochs or 0) * (used // training.batch_size)
    batch = training.batch_size if steps else 0
    windows = resolved.views * batch
    mebibytes = (16 * resolved.trained_parameters + 4 * windows * resolved.window_values) / 2**20
    hours = _hours(_PASSES * resolved.window_flops * windows * steps)
    tuning = _hours(resolved.window_flops * tuned_windows(scored, planner.workspace))
    data = "+".join(f"{ref.dataset}-{ref.rate}" for ref in job.sources) or "none"
    numbers = (
        f"{resolved.parameters:,}",
        f"{resolved.trained_parameters:,}",
        f"{steps:,}",
        batch,
        f"{used:,}",
        f"{skipped:,}",
    )
    reason = f"  not run: {job.reason}" if job.status == "not run" else ""
    return (
        _COLUMNS.format(job.run, seeds, *numbers, f"{mebibytes:,.0f}", f"{hours:.2f}", f"{tuning:.2f}") + data + reason
    )


def _hours(operations: float) -> float:
    return operations / SUSTAINED / 3600


def tuned_windows(job: EvaluateJob, workspace: Workspace) -> int:
    """Forward passes of one window that a run's fine-tuning amounts to; a step's backward pass counts as two more."""
    total = 0
    for ref in job.tasks:
        tuned = [p for p in job.protocols.values() if p.head == "fine_tune" and p.is_for(ref.task)]
        folds = _training_clips(ref, workspace) if tuned else []
        for protocol in tuned:
            training = protocol.tuning
            passes = 1 if protocol.freeze == "all" else _PASSES
            units = len(protocol.train_sizes) * protocol.replicas
            for clips in folds:
                of_epochs = (training.epochs or 0) * clips
                of_steps = (training.steps or 0) * training.batch_size
                total += passes * units * (of_epochs or of_steps)
    return total


def _training_clips(ref: TaskRef, workspace: Workspace) -> list[int]:
    """Clips that train, fold by fold; of absent data one fold, or one for each that the record names, of all its clips."""
    if not ref.corpus.absent:
        return [len(fold.train) for fold in task_clips(ref.record, _corpus(workspace, ref.corpus).clips).folds]
    record = registry.load("dataset", ref.corpus.dataset)
    folds = len(record.expected_splits) if ref.record["fold_column"] else 1
    return [record.expected_clips] * max(folds, 1)


def _clips(planner: Planner, job: PretrainJob) -> tuple[int, int]:
    """Clips that the run may train on and those forbidden to it; those that the record expects where the data is absent."""
    evaluated = [_corpus(planner.workspace, ref).clips for ref in job.excluded]
    used = skipped = 0
    heard = registry.load("task", job.audio_of) if job.audio_of else None
    for ref in job.sources:
        if ref.absent:
            used += (heard and heard.expected_training) or registry.load("dataset", ref.dataset).expected_clips
            continue
        clips = _corpus(planner.workspace, ref).clips
        forbidden = forbidden_rows(clips, evaluated)
        if heard:
            forbidden |= ~training_audio(heard, clips, [registry.load("task", task) for task in job.unseen])
        used += int((~forbidden).sum())
        skipped += int(forbidden.sum())
    return used, skipped


def _corpus(workspace: Workspace, ref: CorpusRef) -> Corpus:
    return Corpus.open(workspace.corpus(ref.dataset, ref.rate), ref.fingerprint)
