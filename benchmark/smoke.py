"""Builds every model at the profile's full size and takes one optimiser step on synthetic audio: proof that sizes are right."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from benchmark import registry
from benchmark.config import load_params
from benchmark.errors import TrainingDivergedError
from benchmark.jobs import PretrainJob
from benchmark.plan import Planner, class_count
from benchmark.workspace import Workspace

if TYPE_CHECKING:
    from torch import Tensor


def smoke_test(workspace: Workspace, study: str | None, batch_size: int) -> None:
    """One optimiser step (or one embedding, where nothing is trained) of every run family.

    Raises:
        TrainingDivergedError: a loss or a gradient is not finite.
    """
    params = load_params(workspace.root)
    for job in Planner(workspace, params).pretrain_jobs():
        if study in {None, job.study} and job.seed == params.seed:
            start = time.monotonic()
            parameters, loss = _one_step(job, batch_size)
            seconds = time.monotonic() - start
            said = "embeds" if loss is None else f"loss {loss:.4f}"
            typer.echo(f"{job.run:<26} {parameters:>12,} parameters  {said:<14} {seconds:6.1f} s")


def _one_step(job: PretrainJob, batch_size: int) -> tuple[int, float | None]:
    import torch

    from benchmark.config import validate
    from benchmark.pretraining.method import Batch
    from benchmark.pretraining.schedule import build_optimizer
    from benchmark.seeding import isolated_torch_seed, torch_stream

    labelled = job.task or job.labels
    classes = class_count(labelled)
    torch.set_num_threads(job.machine.threads)
    method_class = registry.load("method", job.method)
    encoder_class = registry.load("encoder", job.encoder)
    with isolated_torch_seed(job.seed, "smoke"):
        encoder = encoder_class(validate(encoder_class.Config, job.encoder_config, job.run))
        method = method_class(validate(method_class.Config, job.method_config, job.run), encoder, classes)
    parameters = sum(parameter.numel() for parameter in method.parameters())
    generator = torch_stream(job.seed, "smoke", "audio")
    if job.training.steps == 0:
        waveform = 0.1 * torch.randn(batch_size, encoder.window or encoder.sample_rate, generator=generator)
        lengths = torch.full((batch_size,), waveform.shape[1])
        finite = bool(encoder.eval()(waveform, lengths).isfinite().all())
        loss = None
    else:
        request = method.crops()
        waveforms = 0.1 * torch.randn(batch_size, request.views, request.samples, generator=generator)
        labels = _labels(batch_size, classes, labelled) if method_class.needs_labels else None
        positions = torch.rand(batch_size, request.views, generator=generator)
        batch = Batch(waveforms, torch.full((batch_size,), request.samples), labels, positions)
        optimizer = build_optimizer(job.training, method)
        step = method.train().step(batch, generator)
        step.loss.backward()
        optimizer.step()
        loss = float(step.loss.detach())
        finite = all(bool(parameter.isfinite().all()) for parameter in method.parameters())
    if not finite:
        raise TrainingDivergedError(
            f"{job.run}: the smoke test's step gave values that are not finite; check its method."
        )
    return parameters, loss


def _labels(clips: int, classes: int, labelled: str | None) -> Tensor:
    """One class a clip, as indices, or of a multi-label task as zeros and ones."""
    import torch

    indices = torch.arange(clips) % classes
    multi = labelled is not None and registry.load("task", labelled).kind == "multi"
    return torch.nn.functional.one_hot(indices, classes) if multi else indices
