"""Protocols: from a run's embeddings of a task's clips to predictions of its test clips.

Whatever is chosen (a regulariser, k) is chosen by functions that are given labels of training and validation clips only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.config import Protocol
from benchmark.corpus.splits import SPLIT_SEED, Fold, nested_subsets
from benchmark.errors import DataError
from benchmark.evaluation.converged import fit
from benchmark.evaluation.embedding import Embeddings
from benchmark.evaluation.heads import fit_heads
from benchmark.evaluation.knn import knn_grid
from benchmark.evaluation.linear import LinearClassifiers, TrainingSet, statistics
from benchmark.evaluation.metrics import accuracy, log_loss
from benchmark.seeding import numpy_stream, stream_seed

Rows = NDArray[np.int64]
TrainSize = int | Literal["full"]


@dataclass(frozen=True)
class Material:
    """What a protocol works on: all clips of a task, embedded, in one order."""

    embeddings: Embeddings
    labels: Rows
    """``(n,)`` class indices."""
    n_classes: int
    folds: tuple[Fold, ...]
    """Rows of the folds index the n clips."""
    task: str
    head: nn.Linear | None
    """The classifier trained together with the encoder, where there is one."""


@dataclass(frozen=True)
class Outcome:
    """Predictions of one fold's test clips by one head."""

    fold: str
    train_size: str
    head_seed: int
    test: Rows
    """``(t,)`` clips."""
    predictions: Rows
    """``(t,)`` class indices; empty where the head could not be trained."""
    slices: Rows
    """Slices of the test clips, where the head sees slices; else empty."""
    slice_predictions: Rows
    chosen: float | None = None
    """The regulariser or k chosen on the validation part."""
    reason: str = ""
    """Why there are no predictions."""


@dataclass(frozen=True)
class _Problem:
    """One head to be trained: a fold, a training subset and a replica, in units (clips or slices)."""

    fold: Fold
    train_size: TrainSize
    replica: int
    labels: Rows
    """Of every unit, as the head is to see them."""
    train: Rows
    valid: Rows
    refit: Rows
    """What the final head learns from: training and validation part, or the subset alone."""


class Units:
    """What a head sees as one example: a clip's mean embedding, or each slice with its clip's label."""

    def __init__(self, material: Material, unit: Literal["clip", "slice"]) -> None:
        embeddings = material.embeddings
        n = len(material.labels)
        self.sliced = unit == "slice"
        self.features = torch.from_numpy(embeddings.slices if self.sliced else embeddings.clips)
        self.clip = embeddings.clip_of_slice if self.sliced else np.arange(n)
        self._first = np.searchsorted(self.clip, np.arange(n + 1))

    def of(self, clips: Rows) -> Rows:
        """Units of ``clips``, ascending within each clip."""
        return np.concatenate([np.arange(self._first[clip], self._first[clip + 1]) for clip in clips] or [clips])

    def clip_probabilities(self, units: Rows, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean over the units of each clip, clips in the order of their first unit."""
        starts = np.flatnonzero(np.diff(self.clip[units], prepend=-1))
        counts = np.diff(starts, append=len(units))
        means: NDArray[np.float64] = np.add.reduceat(probabilities, starts, axis=0) / counts[:, None]
        return means


def run_protocol(protocol: Protocol, material: Material, seed: int) -> list[Outcome]:
    """Train every head of the grid (folds x train sizes x replicas) as one batched problem, and predict the test clips."""
    if protocol.head == "own":
        return _own(material)
    units = Units(material, protocol.unit)
    problems, failed = _problems(protocol, material, units, seed)
    run = {"converged": _converged, "adam": _adam, "knn": _knn}[protocol.head]
    return [*run(protocol, material, units, problems, seed), *failed] if problems else failed


def _shuffled(material: Material, fold: Fold, seed: int, replica: int) -> Rows:
    """Labels with those of the fold's training and validation clips permuted among each other."""
    rows = np.concatenate([fold.train, fold.valid])
    labels = material.labels.copy()
    labels[rows] = numpy_stream(seed, "shuffled", material.task, fold.name, replica).permutation(labels[rows])
    return labels


def _problems(protocol: Protocol, material: Material, units: Units, seed: int) -> tuple[list[_Problem], list[Outcome]]:
    """The grid's problems, and outcomes that say why for subsets that cannot be drawn; one failed fold fails the others."""
    problems, failed = [], []
    for fold, size in product(material.folds, protocol.train_sizes):
        for replica in range(_replicas(protocol, size)):
            labels = _shuffled(material, fold, seed, replica) if protocol.shuffled_labels else material.labels
            try:
                train = fold.train if size == "full" else _subset(labels, fold, size, replica)
            except DataError as error:
                nothing = fold.test[:0]
                facts = (fold.name, str(size), replica, fold.test)
                failed.append(Outcome(*facts, nothing, nothing, nothing, reason=str(error)))
                continue
            refit = np.sort(np.concatenate([fold.train, fold.valid])) if size == "full" else train
            parts = (units.of(part) for part in (train, fold.valid, refit))
            problems.append(_Problem(fold, size, replica, labels[units.clip], *parts))
    incomplete = {(outcome.train_size, outcome.head_seed) for outcome in failed}
    return [p for p in problems if (str(p.train_size), p.replica) not in incomplete], failed


def _replicas(protocol: Protocol, size: TrainSize) -> int:
    """A convex head on all clips, and a vote among them, have nothing to vary but shuffled labels."""
    settled = size == "full" and protocol.head in {"converged", "knn"} and not protocol.shuffled_labels
    return 1 if settled else protocol.replicas


def _subset(labels: Rows, fold: Fold, size: int, replica: int) -> Rows:
    """Drawn by the replica alone, so that all methods and pre-training seeds see the same subsets."""
    return nested_subsets(labels, fold.train, size, stream_seed(SPLIT_SEED, "subset", replica))


def _converged(
    protocol: Protocol, material: Material, units: Units, problems: list[_Problem], seed: int
) -> Iterator[Outcome]:
    """Every C of every problem on its training part; then the chosen C on what the final head learns from."""
    del seed  # a convex problem has one solution
    strengths = np.array(sorted(protocol.regularisers))
    grid = np.tile(strengths, (len(problems), 1))
    sets = [TrainingSet(problem.train, problem.labels[problem.train]) for problem in problems]
    searched = fit(units.features, sets, grid, material.n_classes, standardise=protocol.standardise).classifiers
    chosen = np.empty((len(problems), 1))
    for index, problem in enumerate(problems):
        candidates = [
            searched.probabilities(index * len(strengths) + column, units.features[problem.valid])
            for column in range(len(strengths))
        ]
        chosen[index] = strengths[best_candidate(candidates, problem.labels[problem.valid])]
    final_sets = [TrainingSet(problem.refit, problem.labels[problem.refit]) for problem in problems]
    final = fit(units.features, final_sets, chosen, material.n_classes, standardise=protocol.standardise).classifiers
    for index, problem in enumerate(problems):
        yield _outcome(units, problem, _predictor(final, index, units), float(chosen[index, 0]))


def best_candidate(probabilities: Sequence[NDArray[np.float64]], labels: Rows) -> int:
    """Index of the most accurate of several candidates on validation labels ``(n,)``.

    Ties go to the lower log-loss, then to the first: candidates come from strong to weak regularisation.
    """
    merits = [(accuracy(labels, p.argmax(axis=1)), -log_loss(labels, p)) for p in probabilities]
    return max(range(len(merits)), key=lambda index: merits[index])


def _adam(
    protocol: Protocol, material: Material, units: Units, problems: list[_Problem], seed: int
) -> Iterator[Outcome]:
    """Minibatch training for a stated number of steps; nothing is chosen, so validation clips train too."""
    heads = fit_heads(
        units.features,
        [TrainingSet(problem.refit, problem.labels[problem.refit]) for problem in problems],
        [stream_seed(seed, "head", material.task, p.fold.name, str(p.train_size), p.replica) for p in problems],
        material.n_classes,
        lr=protocol.lr,
        steps=protocol.steps,
        batch_size=protocol.batch_size,
        standardise=protocol.standardise,
    )
    for index, problem in enumerate(problems):
        yield _outcome(units, problem, _predictor(heads, index, units), None)


def _knn(
    protocol: Protocol, material: Material, units: Units, problems: list[_Problem], seed: int
) -> Iterator[Outcome]:
    """k chosen on the validation part among neighbours in the training part; then a vote among all that may be learnt from."""
    del seed  # a vote draws nothing
    for problem in problems:
        mean, deviation = statistics(units.features, problem.train, protocol.standardise)
        vote = _Vote(((units.features.double() - mean) / deviation).float(), problem.labels, material.n_classes)
        tried = vote(problem.train, problem.valid, protocol.neighbours)
        merits = [accuracy(problem.labels[problem.valid], predictions) for predictions in tried]
        k = protocol.neighbours[int(np.argmax(merits))]
        yield _outcome(units, problem, partial(vote.one_hot, problem.refit, k), float(k))


@dataclass(frozen=True)
class _Vote:
    """Nearest neighbours among some units of a standardised feature matrix."""

    features: Tensor
    labels: Rows
    n_classes: int

    def __call__(self, known: Rows, asked: Rows, ks: Sequence[int]) -> Rows:
        """Predictions ``(len(ks), len(asked))``."""
        return knn_grid(self.features[known], self.labels[known], self.features[asked], ks, self.n_classes)

    def one_hot(self, known: Rows, k: int, asked: Rows) -> NDArray[np.float64]:
        """Predictions as probabilities ``(len(asked), K)``, so that slices of a clip can be averaged."""
        certain: NDArray[np.float64] = np.eye(self.n_classes)[self(known, asked, [k])[0]]
        return certain


def _own(material: Material) -> list[Outcome]:
    """The classifier that was trained with the encoder, on the fold that the part left out."""
    head = material.head
    if head is None:
        raise ValueError("the protocol asks for the run's own classifier, and the run has none")
    units = Units(material, "slice")

    def probabilities(asked: Rows) -> NDArray[np.float64]:
        with torch.inference_mode():
            result: NDArray[np.float64] = head(units.features[asked]).double().softmax(dim=1).numpy()
            return result

    nothing = np.empty(0, np.int64)
    problems = [_Problem(fold, "full", 0, *[nothing] * 4) for fold in material.folds]
    return [_outcome(units, problem, probabilities, None) for problem in problems]


def _predictor(classifiers: LinearClassifiers, index: int, units: Units) -> Callable[[Rows], NDArray[np.float64]]:
    return lambda asked: classifiers.probabilities(index, units.features[asked])


def _outcome(
    units: Units, problem: _Problem, probabilities_of: Callable[[Rows], NDArray[np.float64]], chosen: float | None
) -> Outcome:
    """Predict the fold's test clips, and its slices where the head sees slices."""
    asked = units.of(problem.fold.test)
    probabilities = probabilities_of(asked)
    predictions = units.clip_probabilities(asked, probabilities).argmax(axis=1)
    slices = asked if units.sliced else asked[:0]
    return Outcome(
        problem.fold.name,
        str(problem.train_size),
        problem.replica,
        problem.fold.test,
        predictions,
        slices,
        probabilities.argmax(axis=1) if units.sliced else slices,
        chosen,
    )
