"""What the downstream grid of tagliasacchi2020 costs in units of one cell: sizes x replicas of a frozen encoder on one task.

A cell alone embeds the task's clips and trains one head. The grid embeds them once and trains its heads as one batch, as the
evaluation stage does. The baseline is every cell alone, one after the other; the ratio is how many times cheaper the grid is, and
``cells`` is what it would be if nothing were shared. Tasks and encoders share nothing: the whole study is this times 8 x 9.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

from benchmark import registry
from benchmark.config import Protocol
from benchmark.corpus.splits import task_clips
from benchmark.evaluation.embedding import embed
from benchmark.evaluation.protocols import Material, Outcome, run_protocol
from perf.embedding import HOP_SECONDS, THREADS, prepared_esc50, published_encoder
from perf.measure import alternate, report

SIZES = ("full", 20)
REPLICAS = 4


class Downstream:
    """One encoder and ESC-10's first fold."""

    def __init__(self, folder: Path, steps: int, width: float) -> None:
        self.corpus = prepared_esc50(folder)
        record = {
            **asdict(registry.load("task", "esc10")),
            "classes": registry.load("dataset", "esc50").labels["category"],
        }
        self.data = task_clips(record, self.corpus.clips)
        self.encoder = published_encoder(width)
        self.steps = steps

    def outcomes(self, sizes: tuple[str | int, ...], replicas: int) -> list[Outcome]:
        """Embed the clips and train the heads of all sizes and replicas."""
        embeddings = embed(self.encoder, self.corpus, self.data.rows, HOP_SECONDS)
        data = self.data
        material = Material(embeddings, data.labels, len(data.classes), data.folds[:1], data.task.id, None)
        protocol = Protocol(
            head="adam", unit="slice", standardise=False, train_sizes=sizes, replicas=replicas, steps=self.steps
        )
        return run_protocol(protocol, material, 0)

    def in_turn(self) -> list[Outcome]:
        """Every cell alone."""
        return [outcome for size in SIZES for _ in range(REPLICAS) for outcome in self.outcomes((size,), 1)]

    def together(self) -> list[Outcome]:
        """The grid."""
        return self.outcomes(SIZES, REPLICAS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000, help="of a head; published: 100,000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--width", type=float, default=0.25, help="of the encoder; what is shared weighs more at full width"
    )
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        downstream = Downstream(Path(folder), options.steps, options.width)
        times = alternate(downstream.in_turn, downstream.together, options.repeats)
        cells = len(downstream.together())
    one = times["baseline_s"] / cells
    report(
        "downstream_grid",
        {
            **times,
            "cells": cells,
            "grid_in_cells": times["candidate_s"] / one,
            "head_steps": options.steps,
            "width": options.width,
        },
    )


if __name__ == "__main__":
    main()
