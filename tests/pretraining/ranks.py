"""What is observed of one process and of two ranks alike; run by torchrun it leaves the ranks' observations in a folder."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from benchmark import registry
from benchmark.config import Machine
from benchmark.corpus.store import Corpus
from benchmark.distributed import gather, joined, mean, rank, share, world_size
from benchmark.errors import BenchmarkError
from benchmark.evaluation.embedding import embed
from benchmark.jobs import PretrainJob, read_job
from benchmark.pretraining.checkpoint import Checkpoints, TrainingState
from benchmark.pretraining.curves import Curves
from benchmark.pretraining.data import Source, TrainingData
from benchmark.pretraining.export import build_encoder
from benchmark.pretraining.loop import Trainer
from benchmark.pretraining.method import Method
from benchmark.pretraining.parallel import synchronise_batchnorm
from benchmark.pretraining.schedule import build_optimizer
from benchmark.pretraining.stage import pretrain
from benchmark.seeding import isolated_torch_seed, torch_stream
from benchmark.workspace import Workspace
from methods._losses import nt_xent
from tests.pretraining.test_loop import Attraction
from tests.pretraining.toys import ToyEncoder, ToyMomentum, build, toy_training, trainer

METHODS: dict[str, dict[str, Any]] = {
    "simclr": {"gain_db": 6.0},
    "supervised": {"gain_db": 6.0, "mix": 0.3},
    "triplet_loss": {"margin": 1.0},
    "arrow_of_time": {},
    "temporal_gap": {},
    "audio2vec_cbow": {"context": 1},
}
"""With settings that draw at random wherever the method can."""

Arrays = dict[str, np.ndarray]


def first_step(folder: Path, corpus: Corpus, name: str) -> Arrays:
    """Gradients, buffers and logged scalars of the first step of a method, taken by the one training loop."""
    training = toy_training(optimizer="sgd", steps=1, log_every=1)
    cls: type[Method] = registry.load("method", name)
    with isolated_torch_seed(0, "ranks"):
        encoder = build_encoder("tagliasacchi_cnn", {"width": 0.0625, "frames": 16})
        method = cls(cls.Config(**METHODS[name]), encoder, 3)
    labels = np.arange(len(corpus)) % 3 if method.needs_labels else None
    data = TrainingData([Source(corpus, np.arange(len(corpus)), labels)], method.crops(), 8, seed=0, run="ranks")
    encoder.fit_input(torch.cat([b.waveforms[:, 0] for b in data.calibration(16, encoder.window)]))  # type: ignore[attr-defined]
    synchronise_batchnorm(method)
    state = TrainingState(method, build_optimizer(training, method), [])
    checkpoints = Checkpoints(folder / name, "key")
    Trainer("ranks", 0, data, training, 1, checkpoints, Curves(folder / name, []), ()).fit(state)
    gradients = {f"gradient/{key}": p.grad.numpy() for key, p in method.named_parameters() if p.grad is not None}
    buffers = {f"buffer/{key}": buffer.numpy() for key, buffer in method.named_buffers()}
    scalars = {f"scalar/{key}": np.float64(value) for key, value in state.history[-1].items()}
    return {f"{name}/{key}": value for key, value in {**gradients, **buffers, **scalars}.items()}


def memory_bank(folder: Path, corpus: Corpus) -> Arrays:
    """Three steps with a momentum encoder and a memory bank, a parameter that is never used beside them."""
    training = toy_training(optimizer="sgd", steps=3)
    state = build(ToyMomentum, training)
    state.method.dropout = nn.Identity()
    with isolated_torch_seed(0, "idle"):
        state.method.idle = nn.Linear(2, 2)
    synchronise_batchnorm(state.method)
    state.optimizer = build_optimizer(training, state.method)
    trainer(folder / "bank", corpus, state, training).fit(state)
    assert state.method.idle.weight.grad is None
    return {f"bank/{key}": value.numpy() for key, value in state.method.state_dict().items()}


def loss_through_batchnorm() -> Arrays:
    """In float64: NT-Xent of embeddings that went through batch-norm twice."""
    views = torch.randn(2, 8, 5, 3, generator=torch_stream(0, "views"), dtype=torch.float64)
    norm = nn.Sequential(nn.BatchNorm1d(5)).double()
    synchronise_batchnorm(norm)
    own = torch.stack([share(view) for view in views]).requires_grad_()
    first, second = (gather(norm(view * (1 + n)).flatten(1)) for n, view in enumerate(own))
    nt_xent(first, second, 0.3).backward()
    assert own.grad is not None
    found = {name: mean(parameter.grad) for name, parameter in norm.named_parameters() if parameter.grad is not None}
    found |= {"input": torch.stack([gather(view) for view in own.grad]) / world_size(), **dict(norm.named_buffers())}
    return {f"float64/{name}": tensor.numpy() for name, tensor in found.items()}


class Whole(ToyEncoder):
    """Sees whole clips."""

    scope: ClassVar[Literal["window", "clip"]] = "clip"

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        assert lengths is not None
        return self.linear(waveform[:, :64]) * lengths[:, None] / 1000


def embeddings(corpus: Corpus) -> Arrays:
    """Of windows and of whole clips."""
    found = {}
    for kind in (ToyEncoder, Whole):
        with isolated_torch_seed(0, "embeddings"):
            encoder = kind().eval()
        arrays = embed(encoder, corpus, np.arange(len(corpus)), 0.05).arrays()
        found |= {f"embedding/{kind.__name__}/{name}": value for name, value in arrays.items()}
    return found


def observe(folder: Path, corpus: Corpus) -> Arrays:
    """Everything that must not depend on the number of ranks."""
    found = {**memory_bank(folder, corpus), **loss_through_batchnorm(), **embeddings(corpus)}
    for name in METHODS:
        found |= first_step(folder, corpus, name)
    return found


def failures(folder: Path, corpus: Corpus) -> dict[str, str]:
    """What a rank says where only the other one was told to stop, or met a loss that is not finite."""

    def told_to_stop(state: TrainingState) -> None:
        original = state.method.after_step

        def after_step(step: int) -> None:
            original(step)
            if step == 4 and rank() == 1:
                os.kill(os.getpid(), signal.SIGTERM)

        state.method.after_step = after_step  # type: ignore[method-assign]

    def poisoned(state: TrainingState) -> None:
        state.method.poison = (2, "nan") if rank() == 1 else None

    said = {}
    cases: dict[str, tuple[type[Method], Callable[[TrainingState], None]]] = {
        "signal": (ToyMomentum, told_to_stop),
        "nan": (Attraction, poisoned),
    }
    for name, (cls, disturb) in cases.items():
        state = build(cls)
        disturb(state)
        try:
            trainer(folder / name, corpus, state, toy_training()).fit(state)
        except BenchmarkError as error:
            said[name] = str(error)
    return said


def main() -> None:
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    corpus = Corpus.open(folder / "toy")
    with joined(Machine(threads=1, ranks=2), torch.device("cpu")):
        np.savez(folder / f"rank{rank()}.npz", **observe(folder / "two", corpus))
        (folder / f"rank{rank()}.json").write_text(json.dumps(failures(folder / "two", corpus)))
    workspace = Workspace(folder / "undisturbed", "sandbox")
    pretrain(read_job(PretrainJob, workspace.plan("pretrain", "run-0")), workspace)
