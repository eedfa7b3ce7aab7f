"""Converged logistic regression on ESC-10's five folds: ours, all problems at once, against scikit-learn's in turn.

Features are the log-mel statistics of each clip, with the same standardisation and threads. Once at a single C, once at
seven from 1e-4 to 100. scikit-learn stops at its default tolerance, which leaves weak regularisation short of the
optimum: ``*_residual`` is the largest norm of a gradient relative to its parameters. Target: no slower, at the same
accuracy.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor

from benchmark import registry
from benchmark.corpus.splits import SPLIT_SEED, Fold, folds, labels, selected
from benchmark.evaluation.converged import Solution, fit
from benchmark.evaluation.embedding import embed
from benchmark.evaluation.linear import TrainingSet
from benchmark.signal.encoder import Encoder
from perf.embedding import HOP_SECONDS, THREADS, prepared_esc50
from perf.measure import alternate, report

CLASSES = 10
GRIDS = {"one_strength": [1.0], "seven_strengths": [10.0**power for power in range(-4, 3)]}

Problems = Sequence[tuple[Fold, TrainingSet]]


def solve_in_turn(
    features: NDArray[np.float64], problems: Problems, strengths: Sequence[float]
) -> list[list[LogisticRegression]]:
    """scikit-learn's models, a list a fold."""
    return [
        [
            make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=10_000)).fit(
                features[training.rows], training.labels
            )
            for c in strengths
        ]
        for _, training in problems
    ]


def solve_together(features: Tensor, problems: Problems, strengths: Sequence[float]) -> Solution:
    sets = [training for _, training in problems]
    return fit(features, sets, np.tile(strengths, (len(sets), 1)), CLASSES)


def residual(model: LogisticRegression, features: NDArray[np.float64], training: TrainingSet, c: float) -> float:
    """Norm of the gradient of scikit-learn's objective relative to the norm of its parameters."""
    standardised = model[0].transform(features[training.rows])
    errors = model[1].predict_proba(standardised) - np.eye(CLASSES)[training.labels]
    slope = np.hstack([c * errors.T @ standardised + model[1].coef_, c * errors.sum(0)[:, None]])
    parameters = np.hstack([model[1].coef_, model[1].intercept_[:, None]])
    return float(np.linalg.norm(slope) / np.linalg.norm(parameters))


def compare(
    features: Tensor, targets: NDArray[np.int64], problems: Problems, strengths: Sequence[float]
) -> dict[str, object]:
    matrix = features.double().numpy()
    times = alternate(
        lambda: solve_in_turn(matrix, problems, strengths), lambda: solve_together(features, problems, strengths)
    )
    theirs, ours = solve_in_turn(matrix, problems, strengths), solve_together(features, problems, strengths)
    correct: dict[str, list[float]] = {"baseline": [], "candidate": []}
    for index, ((fold, _), models) in enumerate(zip(problems, theirs, strict=True)):
        for column, model in enumerate(models):
            found = ours.classifiers.probabilities(index * len(strengths) + column, features[fold.test]).argmax(1)
            correct["baseline"].append(float((model.predict(matrix[fold.test]) == targets[fold.test]).mean()))
            correct["candidate"].append(float((found == targets[fold.test]).mean()))
    return {
        "problems": len(problems) * len(strengths),
        **times,
        "target_ratio": 1,
        "baseline_accuracy": float(np.mean(correct["baseline"])),
        "candidate_accuracy": float(np.mean(correct["candidate"])),
        "baseline_residual": max(
            residual(model, matrix, training, c)
            for (_, training), models in zip(problems, theirs, strict=True)
            for model, c in zip(models, strengths, strict=True)
        ),
        "candidate_residual": float(ours.residual.max()),
    }


def measure(folder: Path) -> dict[str, object]:
    corpus, task, dataset = prepared_esc50(folder), registry.load("task", "esc10"), registry.load("dataset", "esc50")
    rows = selected(task, corpus.clips)
    clips = corpus.clips.iloc[rows].reset_index(drop=True)
    encoder_class: type[Encoder] = registry.load("encoder", "logmel_statistics")
    encoder = encoder_class(encoder_class.Config()).eval()
    features = torch.from_numpy(embed(encoder, corpus, rows, HOP_SECONDS).clips)
    targets = labels(task, dataset, clips)
    problems = [(fold, TrainingSet(fold.train, targets[fold.train])) for fold in folds(task, clips, SPLIT_SEED)]
    return {
        "features": f"{features.shape[1]} of {len(rows)} clips of ESC-10, {'stand-in' if corpus.standin else 'real'}",
        **{name: compare(features, targets, problems, strengths) for name, strengths in GRIDS.items()},
    }


def main() -> None:
    torch.set_num_threads(THREADS)
    with threadpool_limits(THREADS), tempfile.TemporaryDirectory() as folder:
        report("solver", measure(Path(folder)))


if __name__ == "__main__":
    main()
