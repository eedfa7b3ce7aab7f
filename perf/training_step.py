"""What the training loop adds to a bare step, and clips a second of the small SimCLR recipe.

A quarter-width tagliasacchi2020 CNN learns with SimCLR, 128 pairs of 975 ms crops a step: through the loop
(crops read from a packed corpus, schedule, checks, logs, curves) and as bare steps (forward, backward, update) on a
batch that already lies on the device. Target: the loop reaches 0.95 of the bare speed.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmark import registry
from benchmark.config import Machine, Training, validate
from benchmark.corpus.prepare import prepare
from benchmark.corpus.standin import ensure_standin
from benchmark.corpus.store import Corpus
from benchmark.pretraining.checkpoint import Checkpoints, TrainingState
from benchmark.pretraining.curves import Curves
from benchmark.pretraining.data import Source, TrainingData
from benchmark.pretraining.device import deterministic_torch, with_gradients
from benchmark.pretraining.export import build_encoder
from benchmark.pretraining.loop import Trainer
from benchmark.pretraining.schedule import build_optimizer
from benchmark.seeding import isolated_torch_seed, torch_stream
from methods.simclr import Simclr, SimclrConfig
from perf.measure import alternate, report

RECIPE = {
    "gain_db": 6.0,
    "mix_back": {"alpha": 0.1},
    "policy": ("resized_crop",),
    "resized_crop": {"relative": True},
    "batchnorm": "joint",
}
ENCODER = {"width": 0.25, "embedding": "pooled"}
RATE = 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20, help="steps a repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    parser.add_argument("--width", type=float, default=ENCODER["width"])
    options = parser.parse_args()
    machine = Machine(device=options.device, threads=options.threads)
    training = Training(
        optimizer="adamw",
        lr=1e-3,
        schedule="cosine",
        steps=options.steps,
        precision=options.precision,
        checkpoint_every=200,
    )
    with tempfile.TemporaryDirectory() as folder, deterministic_torch(machine) as device:
        corpus = standin_corpus(Path(folder), options.threads)
        bare = BareSteps(training, options.width, device, corpus)
        loop = LoopSteps(training, options.width, device, corpus, Path(folder) / "run")
        measured = alternate(bare, loop, options.repeats)
    report(
        "training_step",
        {
            **vars(options),
            "bare_step_s": measured["baseline_s"] / options.steps,
            "loop_step_s": measured["candidate_s"] / options.steps,
            "clips_per_s": options.steps * training.batch_size / measured["candidate_s"],
            **measured,
        },
    )


class BareSteps:
    """Forward, backward and update on one batch that already lies on the device."""

    def __init__(self, training: Training, width: float, device: torch.device, corpus: Corpus) -> None:
        self.training, self.device = training, device
        self.method = simclr(width, device)
        self.optimizer = build_optimizer(training, self.method)
        self.batch = data(corpus, self.method, training, device).batch(0)

    def __call__(self) -> None:
        """Take the steps."""
        generator = torch_stream(0, "bare", device=self.device)
        for _ in range(self.training.steps or 0):
            self.optimizer.zero_grad()
            step = with_gradients(
                partial(self.method.step, self.batch, generator), self.training.precision, self.device
            )
            self.optimizer.step()
        step.loss.item()  # waits for the device


class LoopSteps:
    """The same steps through the loop, each call a fresh run."""

    def __init__(self, training: Training, width: float, device: torch.device, corpus: Corpus, folder: Path) -> None:
        self.training, self.folder = training, folder
        self.method = simclr(width, device)
        self.data = data(corpus, self.method, training, device)
        self.curves = Curves(folder / "curves", [])

    def __call__(self) -> None:
        """Train one run."""
        state = TrainingState(self.method, build_optimizer(self.training, self.method), [])
        checkpoints = Checkpoints(self.folder / "checkpoints", "perf")
        Trainer("perf", 0, self.data, self.training, self.training.steps or 0, checkpoints, self.curves).fit(state)


def simclr(width: float, device: torch.device) -> Simclr:
    with isolated_torch_seed(0, "perf"):
        encoder = build_encoder("tagliasacchi_cnn", {**ENCODER, "width": width})
        return Simclr(validate(SimclrConfig, RECIPE, "perf"), encoder).to(device)


def data(corpus: Corpus, method: Simclr, training: Training, device: torch.device) -> TrainingData:
    source = Source(corpus, np.arange(len(corpus)))
    return TrainingData([source], method.crops(), training.batch_size, seed=0, run="perf", device=device)


def standin_corpus(folder: Path, workers: int, rate: int = RATE) -> Corpus:
    """ESC-50's stand-in, prepared."""
    dataset = registry.load("dataset", "esc50")
    ensure_standin(dataset, folder / "raw")
    prepare(dataset, folder / "raw", folder / "corpus", rate, workers, standin=True, cache=folder / "cache")
    return Corpus.open(folder / "corpus")


if __name__ == "__main__":
    main()
