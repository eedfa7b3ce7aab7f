"""Builds every model at the profile's full size and takes one optimiser step on synthetic audio: proof that sizes are right."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from benchmark import registry
from benchmark.config import load_params
from benchmark.errors import TrainingDivergedError
from benchmark.jobs import PretrainJob
from benchmark.plan import Planner, class_count
from benchmark.workspace import Workspace

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from benchmark.pretraining.method import Batch, Method


@dataclass(frozen=True)
class _Outcome:
    """What one step said."""

    parameters: int
    loss: float | None
    """None where nothing is trained and the encoder embeds."""
    peak_mib: float | None
    """The most memory that the device held; None on a CPU."""

    def __str__(self) -> str:
        said = "embeds" if self.loss is None else f"loss {self.loss:.4f}"
        peak = "" if self.peak_mib is None else f"{self.peak_mib:9,.0f} MiB"
        return f"{self.parameters:>12,} parameters  {said:<14}{peak}"


def smoke_test(workspace: Workspace, study: str | None, batch_size: int | None, device: str = "cpu") -> None:
    """One optimiser step (or one embedding, where nothing is trained) of every run family.

    Args:
        workspace: the profile.
        study: only its runs.
        batch_size: clips of the one step; None takes each run's own.
        device: where the step is taken, as deterministic as training; in bf16 too, where the run asks for it and it is a GPU.

    Raises:
        ConfigError: the device does not exist here.
        TrainingDivergedError: a loss or a gradient is not finite.
    """
    from benchmark.pretraining.device import deterministic_torch

    params = load_params(workspace.root)
    machine = params.machine.model_copy(update={"device": device, "ranks": 1})
    with deterministic_torch(machine) as found:
        for job in Planner(workspace, params).pretrain_jobs():
            if study in {None, job.study} and job.seed == params.seed:
                start = time.monotonic()
                outcome = _one_step(job, batch_size or job.training.batch_size, found)
                typer.echo(f"{job.run:<26} {outcome} {time.monotonic() - start:6.1f} s")


def _one_step(job: PretrainJob, batch_size: int, device: torch.device) -> _Outcome:
    import torch

    from benchmark.config import validate
    from benchmark.pretraining.device import with_gradients
    from benchmark.pretraining.schedule import build_optimizer
    from benchmark.seeding import isolated_torch_seed, torch_stream

    labelled = job.task or job.labels
    classes = class_count(labelled)
    method_class = registry.load("method", job.method)
    encoder_class = registry.load("encoder", job.encoder)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with isolated_torch_seed(job.seed, "smoke"):
        encoder = encoder_class(validate(encoder_class.Config, job.encoder_config, job.run))
        method = method_class(validate(method_class.Config, job.method_config, job.run), encoder, classes).to(device)
    loss = None
    noise = torch_stream(job.seed, "smoke", "audio", device=device)
    if job.training.steps == 0:
        waveform = 0.1 * torch.randn(batch_size, encoder.window or encoder.sample_rate, generator=noise, device=device)
        lengths = torch.full((batch_size,), waveform.shape[1], device=device)
        with torch.inference_mode():
            finite = bool(encoder.eval()(waveform, lengths).isfinite().all())
    else:
        batch = _batch(method, batch_size, classes, labelled, noise)
        optimizer = build_optimizer(job.training, method)
        precision = job.training.precision if device.type == "cuda" else "float32"
        views = torch_stream(job.seed, "smoke", device=device)
        step = with_gradients(lambda: method.train().step(batch, views), precision, device)
        optimizer.step()
        loss = float(step.loss.detach())
        finite = all(bool(parameter.isfinite().all()) for parameter in method.parameters())
    if not finite:
        raise TrainingDivergedError(
            f"{job.run}: the smoke test's step gave values that are not finite; check its method."
        )
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
    return _Outcome(sum(parameter.numel() for parameter in method.parameters()), loss, peak)


def _batch(method: Method, clips: int, classes: int, labelled: str | None, noise: torch.Generator) -> Batch:
    """Noise, cut as the method asks for it, on the device of its generator."""
    import torch

    from benchmark.pretraining.method import Batch

    request, device = method.crops(), noise.device
    waveforms = 0.1 * torch.randn(clips, request.views, request.samples, generator=noise, device=device)
    positions = torch.rand(clips, request.views, generator=noise, device=device)
    lengths = torch.full((clips,), request.samples, device=device)
    labels = _labels(clips, classes, labelled).to(device) if type(method).needs_labels else None
    return Batch(waveforms, lengths, labels, positions)


def _labels(clips: int, classes: int, labelled: str | None) -> Tensor:
    """One class a clip, as indices, or of a multi-label task as zeros and ones."""
    import torch

    indices = torch.arange(clips) % classes
    multi = labelled is not None and registry.load("task", labelled).kind == "multi"
    return torch.nn.functional.one_hot(indices, classes) if multi else indices
