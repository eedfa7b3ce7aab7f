"""Twenty linear heads (ESC-10's five folds, four seeds) trained as one batch, against torch.nn.Linear head by head.

The same steps, minibatches and initial weights; the features are embeddings of the CNN of tagliasacchi2020 with initial
weights. Target: at least 8 times as fast, at the same accuracy.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark import registry
from benchmark.corpus.splits import folds, labels, selected
from benchmark.evaluation.embedding import embed
from benchmark.evaluation.heads import fit_heads, initial_parameters, logits, minibatch_positions
from benchmark.evaluation.linear import TrainingSet, statistics
from perf.embedding import HOP_SECONDS, THREADS, prepared_esc50, published_encoder
from perf.measure import alternate, report

SEEDS = range(4)
CLASSES = 10
STEPS = 100
BATCH = 64
LEARNING_RATE = 1e-2


def train_alone(features: Tensor, training: TrainingSet, seed: int) -> Tensor:
    """Logits ``(n, K)`` of one head trained the usual way."""
    mean, deviation = statistics(features, training.rows, standardise=True)
    standardised = ((features - mean) / deviation).float()
    rows, targets = standardised[training.rows], torch.from_numpy(training.labels)
    head = nn.Linear(features.shape[1], CLASSES)
    weight, bias = initial_parameters(seed, features.shape[1], CLASSES)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    optimiser = torch.optim.Adam(head.parameters(), lr=LEARNING_RATE)
    for positions in torch.from_numpy(minibatch_positions(seed, len(rows), STEPS, BATCH)):
        optimiser.zero_grad()
        loss: Tensor = nn.functional.cross_entropy(head(rows[positions]), targets[positions])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    predicted: Tensor = head(standardised).detach()
    return predicted


def train_in_turn(features: Tensor, sets: list[TrainingSet], seeds: list[int]) -> Tensor:
    return torch.stack([train_alone(features, training, seed) for training, seed in zip(sets, seeds, strict=True)])


def train_together(features: Tensor, sets: list[TrainingSet], seeds: list[int]) -> Tensor:
    trained = fit_heads(
        features, sets, seeds, CLASSES, lr=LEARNING_RATE, steps=STEPS, batch_size=BATCH, standardise=True
    )
    return logits(trained, features)


def mean_accuracy(predicted: Tensor, targets: NDArray[np.int64], tests: list[NDArray[np.int64]]) -> float:
    classes = predicted.argmax(2).numpy()
    return float(
        np.mean([(of_head[test] == targets[test]).mean() for of_head, test in zip(classes, tests, strict=True)])
    )


def measure(folder: Path) -> dict[str, object]:
    corpus, task, dataset = prepared_esc50(folder), registry.load("task", "esc10"), registry.load("dataset", "esc50")
    rows = selected(task, corpus.clips)
    clips = corpus.clips.iloc[rows].reset_index(drop=True)
    features = torch.from_numpy(embed(published_encoder(), corpus, rows, HOP_SECONDS).clips)
    targets = labels(task, dataset, clips)
    grid = [(fold, seed) for fold in folds(task, clips, seed=0) for seed in SEEDS]
    sets = [TrainingSet(fold.train, targets[fold.train]) for fold, _ in grid]
    tests, seeds = [fold.test for fold, _ in grid], [seed for _, seed in grid]
    times = alternate(lambda: train_in_turn(features, sets, seeds), lambda: train_together(features, sets, seeds))
    one_by_one, together = train_in_turn(features, sets, seeds), train_together(features, sets, seeds)
    return {
        "features": f"{features.shape[1]} of {len(rows)} clips of ESC-10, {'stand-in' if corpus.standin else 'real'}",
        "heads": len(grid),
        "steps": STEPS,
        "batch_size": BATCH,
        **times,
        "target_ratio": 8,
        "baseline_accuracy": mean_accuracy(one_by_one, targets, tests),
        "candidate_accuracy": mean_accuracy(together, targets, tests),
        "largest_difference_of_logits": float((one_by_one - together).abs().max()),
    }


def main() -> None:
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        report("heads", measure(Path(folder)))


if __name__ == "__main__":
    main()
