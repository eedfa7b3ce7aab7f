"""Votes among the patches of one set of clips against the bare matrix product of their similarities.

2,000 clips of 9 patches each, 512 dimensions, k = 200 (fonseca2021 section 3.3): about the validation set that is scored after
every epoch. The product is computed in the same blocks and thrown away. Target: at most twice its time (ratio 0.5).
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from benchmark.config import Machine
from benchmark.evaluation.intra_knn import vote
from benchmark.pretraining.device import deterministic_torch
from perf.measure import alternate, report

CLASSES, SIZE, NEIGHBOURS = 20, 512, 200
BLOCK = 932
"""Rows of 18,000 similarities that fill 64 MiB, the memory that the vote's blocks may take."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--patches", type=int, default=9, help="a clip")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    labels = generator.integers(CLASSES, size=options.clips)
    clip = np.repeat(np.arange(options.clips), options.patches)
    centres = generator.normal(size=(CLASSES, SIZE))
    features = (centres[labels[clip]] + 4 * generator.normal(size=(len(clip), SIZE))).astype(np.float32)
    with deterministic_torch(Machine(device=options.device, threads=options.threads)) as device:
        rows = torch.nn.functional.normalize(torch.from_numpy(features).to(device), dim=1)

        def product() -> None:
            total = sum(float((block @ rows.T)[0, 0]) for block in rows.split(BLOCK))
            assert np.isfinite(total)

        def voted() -> None:
            predictions = vote(rows, labels, clip, NEIGHBOURS, CLASSES)
            assert (predictions == labels).mean() > 0.5, "the classes are far apart"

        measured = alternate(product, voted, options.repeats)
    report("intra_knn", {"device": options.device, "rows": len(clip), **measured})


if __name__ == "__main__":
    main()
