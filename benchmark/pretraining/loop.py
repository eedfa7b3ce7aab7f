"""The one training loop."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Never, Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from benchmark.config import Training
from benchmark.distributed import gather, largest, mean, rank, world_size
from benchmark.errors import BenchmarkError, TrainingDivergedError
from benchmark.launch import is_main
from benchmark.pretraining.checkpoint import Checkpoints, TrainingState
from benchmark.pretraining.collapse import collapse, spread_and_rank
from benchmark.pretraining.data import TrainingData
from benchmark.pretraining.device import with_gradients
from benchmark.pretraining.method import Batch, Method, Step
from benchmark.pretraining.parallel import StepFunction, parallel_step
from benchmark.pretraining.schedule import learning_rate, set_learning_rate
from benchmark.seeding import stream_seed, torch_stream


class TrainingInterrupted(BenchmarkError):
    """Ctrl-C or a termination signal; a checkpoint has been written."""

    exit_code = 130


class Probe(Protocol):
    """A measurement during training, e.g. kNN accuracy; its scalars join the curves."""

    def due(self, step: int, steps: int) -> bool:
        """Whether to measure after ``step`` of ``steps`` steps; step 0 is before the first."""
        ...

    def __call__(self, step: int, method: Method) -> Mapping[str, float]:
        """Measure; the method is in evaluation mode, without gradients. Global random state is restored afterwards."""
        ...


class Log(Protocol):
    """Where scalars go, e.g. :class:`.curves.Curves`."""

    def log(self, entry: Mapping[str, float]) -> None:
        """Take the scalars of one step."""
        ...


def _no_snapshot(step: int, method: Method) -> None:
    """Keep nothing."""


@dataclass
class Throughput:
    """What this process trained; not part of any result."""

    steps: int = 0
    clips: int = 0
    seconds: float = 0.0


@dataclass
class Trainer:
    """Trains a method to its last step, from wherever its state stands."""

    name: str
    """Names the random streams, the progress bar and errors."""
    seed: int
    data: TrainingData
    training: Training
    steps: int
    checkpoints: Checkpoints
    curves: Log
    probes: Sequence[Probe] = ()
    snapshot: Callable[[int, Method], None] = _no_snapshot
    """Called after the steps in ``training.snapshots``; step 0 is before the first."""
    throughput: Throughput = field(default_factory=Throughput)
    _forward: StepFunction = field(init=False)

    def fit(self, state: TrainingState) -> None:
        """Train ``state`` in place.

        Raises:
            TrainingDivergedError: a loss or gradient is not finite, or the embeddings collapsed.
            TrainingInterrupted: Ctrl-C or SIGTERM; the step was finished and a checkpoint written.
            StorageError: the disk is full; the checkpoints before are untouched.
        """
        with _global_generators_restored(self.data.device), _signals() as received, self._progress(state) as bar:
            state.method.train()
            self._forward = parallel_step(state.method)
            if state.step == 0:
                self._record(state, {})
            start = time.perf_counter()
            for batch in self.data.batches(state.step, self.steps):
                self._advance(state, batch)
                bar.update()
                self.throughput.steps += 1
                self.throughput.clips += len(batch.waveforms) * world_size()
                self.throughput.seconds = time.perf_counter() - start
                if stopped := _agreed(received):
                    self.checkpoints.save(state)
                    raise TrainingInterrupted(
                        f"{self.name}: stopped by {stopped} after step {state.step} of {self.steps}; "
                        "a checkpoint is saved, run the same command again to go on."
                    )
                if state.step % self.training.log_every == 0:
                    rate = self.throughput.clips / self.throughput.seconds
                    bar.set_postfix(loss=f"{state.history[-1]['loss']:.3f}", clips_per_s=f"{rate:.0f}", refresh=False)

    def _advance(self, state: TrainingState, batch: Batch) -> None:
        """One step and what follows it."""
        logged = (state.step + 1) % self.training.log_every == 0 or state.step + 1 == self.steps
        step, norm = self._step(state, batch)
        state.step += 1
        self._record(state, self._scalars(state.step, step, norm) if logged else {})
        if state.step % self.training.checkpoint_every == 0 and state.step < self.steps:
            self.checkpoints.save(state)

    def _step(self, state: TrainingState, batch: Batch) -> tuple[Step, Tensor]:
        """Forward, backward and update; returns the gradient's norm too."""
        index, method, device = state.step, state.method, self.data.device
        own = (rank(),) if rank() else ()
        torch.manual_seed(stream_seed(self.seed, self.name, index, "modules", *own))  # for dropout and its like
        generator = torch_stream(self.seed, self.name, index, "views", device=device)
        set_learning_rate(state.optimizer, learning_rate(self.training, index, self.steps))
        state.optimizer.zero_grad()
        step = with_gradients(lambda: self._forward(batch, generator), self.training.precision, device)
        norm = clip_gradients(state.optimizer, self.training.clip_norm)
        step = replace(step, loss=mean(step.loss))
        self._require_finite(step.loss, norm, index)
        state.optimizer.step()
        method.after_step(index)
        return step, norm

    def _scalars(self, step: int, outcome: Step, norm: Tensor) -> dict[str, float]:
        scalars = {
            "loss": outcome.loss.item(),
            "lr": learning_rate(self.training, step - 1, self.steps),
            "gradient_norm": norm.item(),
            **{name: float(mean(value)) for name, value in outcome.logs.items()},
        }
        if outcome.embeddings is not None:
            spread, effective = spread_and_rank(gather(outcome.embeddings.detach()))
            scalars |= {"embedding_spread": spread.item(), "embedding_rank": effective.item()}
        return scalars

    def _record(self, state: TrainingState, scalars: dict[str, float]) -> None:
        """Log, probe and snapshot where step ``state.step`` asks for it."""
        for probe in self.probes:
            if probe.due(state.step, self.steps):
                scalars |= self._probe(probe, state)
        if scalars:
            entry = {"step": state.step, **scalars}
            state.history.append(entry)
            self.curves.log(entry)
            if "embedding_spread" in entry and (fault := collapse(state.history)):
                raise TrainingDivergedError(
                    f"{self.name}: the representation has collapsed by step {state.step}: {fault}; "
                    "try a lower learning rate, a larger batch or a higher temperature."
                )
        if state.step in self.training.snapshots:
            self.snapshot(state.step, state.method)

    def _probe(self, probe: Probe, state: TrainingState) -> dict[str, float]:
        state.method.eval()
        with torch.no_grad():
            measured = dict(probe(state.step, state.method))
        state.method.train()
        return measured

    def _require_finite(self, loss: Tensor, norm: Tensor, step: int) -> None:
        values = torch.stack([loss.detach().float(), norm.float()]).tolist()  # one wait for the device, not two
        for what, value in zip(("loss", "gradient norm"), values, strict=True):
            if not math.isfinite(value):
                lr = learning_rate(self.training, step, self.steps)
                raise TrainingDivergedError(
                    f"{self.name}: the {what} is {value} at step {step}; "
                    f"try a learning rate below {lr:.2g}, a longer warm-up, clip_norm or precision float32."
                )

    def _progress(self, state: TrainingState) -> tqdm[Never]:
        hidden = None if is_main() else True
        return tqdm(total=self.steps, initial=state.step, desc=self.name, unit="step", disable=hidden)


def clip_gradients(optimizer: torch.optim.Optimizer, clip_norm: float | None) -> Tensor:
    """Scale all gradients together to a norm of at most ``clip_norm``, where given; returns the norm before."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return nn.utils.clip_grad_norm_(parameters, math.inf if clip_norm is None else clip_norm)


@contextmanager
def _global_generators_restored(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _agreed(received: list[str]) -> str | None:
    """The signal that any rank has received: all stop after the same step."""
    number = largest(signal.Signals[received[0]] if received else 0)
    return signal.Signals(number).name if number else None


@contextmanager
def _signals() -> Iterator[list[str]]:
    """Collects the first SIGINT or SIGTERM instead of dying of it; a second one has its usual effect."""
    received: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def remember(number: int, _frame: object) -> None:
        received.append(signal.Signals(number).name)
        for each, handler in usual.items():
            signal.signal(each, handler)

    for number in usual:
        signal.signal(number, remember)
    try:
        yield received
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
