"""What the training loop adds to a bare fine-tuning step, and clips a second.

A quarter-width tagliasacchi2020 CNN and a linear classifier learn labels: through the loop (crops read from a packed corpus,
schedule, checks, logs) and as bare steps (forward, backward, update) on a batch that already lies on the device.
Target: the loop reaches 0.95 of the bare speed.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmark.config import Machine, Protocol, Training
from benchmark.corpus.store import Corpus
from benchmark.evaluation.finetuning import NoCurves
from benchmark.pretraining.checkpoint import Checkpoints, TrainingState
from benchmark.pretraining.data import Source, TrainingData
from benchmark.pretraining.device import deterministic_torch, with_gradients
from benchmark.pretraining.export import build_encoder
from benchmark.pretraining.finetuning import FineTuned
from benchmark.pretraining.layers import frozen_modules, parameter_groups
from benchmark.pretraining.loop import Trainer
from benchmark.pretraining.schedule import build_optimizer
from benchmark.seeding import isolated_torch_seed, torch_stream
from methods.supervised import Supervised, SupervisedConfig
from perf.measure import alternate, report
from perf.training_step import standin_corpus

CLASSES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20, help="steps a repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--freeze", choices=["none", "all"], default="none")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    options = parser.parse_args()
    training = Training(
        optimizer="adamw", steps=options.steps, batch_size=options.batch_size, precision=options.precision
    )
    protocol = Protocol(head="fine_tune", freeze=options.freeze, training=training.model_dump(mode="json"))
    machine = Machine(device=options.device, threads=options.threads)
    with tempfile.TemporaryDirectory() as folder, deterministic_torch(machine) as device:
        corpus = standin_corpus(Path(folder), options.threads)
        fine_tuning = FineTuning(protocol, training, options.width, device, corpus, Path(folder))
        measured = alternate(fine_tuning.bare, fine_tuning.loop, options.repeats)
    report(
        "finetuning",
        {
            **vars(options),
            "bare_step_s": measured["baseline_s"] / options.steps,
            "loop_step_s": measured["candidate_s"] / options.steps,
            "clips_per_s": options.steps * training.batch_size / measured["candidate_s"],
            **measured,
        },
    )


class FineTuning:
    """The same steps both ways, each call from the same weights."""

    def __init__(
        self, protocol: Protocol, training: Training, width: float, device: torch.device, corpus: Corpus, folder: Path
    ) -> None:
        self.protocol, self.training, self.device, self.folder = protocol, training, device, folder
        with isolated_torch_seed(0, "perf"):
            encoder = build_encoder("tagliasacchi_cnn", {"width": width, "embedding": "pooled"})
            self.method = Supervised(SupervisedConfig(), encoder, CLASSES).to(device)
        rows = np.arange(len(corpus))
        source = Source(corpus, rows, rows % CLASSES)
        crops = self.method.crops()
        self.data = TrainingData([source], crops, training.batch_size, seed=0, run="perf", device=device)
        self.batch = self.data.batch(0)

    def bare(self) -> None:
        """Forward, backward and update on one batch."""
        state, generator = self._fresh(), torch_stream(0, "bare", device=self.device)
        for _ in range(self.training.steps or 0):
            state.optimizer.zero_grad()
            step = with_gradients(
                partial(state.method.step, self.batch, generator), self.training.precision, self.device
            )
            state.optimizer.step()
        step.loss.item()  # waits for the device

    def loop(self) -> None:
        """One run of the training loop."""
        checkpoints = Checkpoints(self.folder / "checkpoints", "perf")
        Trainer("perf", 0, self.data, self.training, self.training.steps or 0, checkpoints, NoCurves()).fit(
            self._fresh()
        )

    def _fresh(self) -> TrainingState:
        method = copy.deepcopy(self.method)
        tuned = FineTuned(method, frozen_modules(method.encoder, self.protocol.freeze), keep_best=False)
        groups = parameter_groups(tuned, method.encoder, self.protocol)
        return TrainingState(tuned, build_optimizer(self.training, tuned, groups), [])


if __name__ == "__main__":
    main()
