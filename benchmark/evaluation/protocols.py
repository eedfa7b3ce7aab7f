"""Protocols: from a run's embeddings of a task's clips to predictions of its test clips.

Whatever is chosen (a regulariser, k) is chosen by functions that are given labels of training and validation clips only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.config import Protocol, TrainSize
from benchmark.corpus.splits import SPLIT_SEED, Fold, nested_subsets, random_subset
from benchmark.errors import DataError
from benchmark.evaluation.contributions import BY_PREDICTION
from benchmark.evaluation.converged import fit
from benchmark.evaluation.embedding import Embeddings
from benchmark.evaluation.heads import fit_heads
from benchmark.evaluation.intra_knn import set_clips, vote
from benchmark.evaluation.knn import knn_grid, knn_shares
from benchmark.evaluation.linear import LinearClassifiers, TrainingSet, statistics
from benchmark.evaluation.metrics import ranks
from benchmark.evaluation.scoring import ENOUGH_CLASSES, merit
from benchmark.seeding import numpy_stream, stream_seed

Rows = NDArray[np.int64]
Targets = NDArray[np.integer]
Floats = NDArray[np.float64]
Kind = Literal["single", "multi", "binary"]
SET = "set"
"""Name of the one fold of a vote within a set."""


@dataclass(frozen=True)
class Material:
    """What a protocol works on: all clips of a task, embedded, in one order."""

    embeddings: Embeddings
    labels: Targets
    """``(n,)`` class indices; of a multi-label task zeros and ones ``(n, C)``."""
    n_classes: int
    folds: tuple[Fold, ...]
    """Rows of the folds index the n clips."""
    task: str
    head: nn.Linear | None
    """The classifier trained together with the encoder, where there is one."""
    kind: Kind = "single"
    metric: str = "accuracy"
    """The task's headline metric, which also chooses regularisers and k on validation clips."""
    class_names: tuple[str, ...] = ()
    """Names of the classes, for rows of single classes."""
    probed: NDArray[np.int64] | None = None
    """``(E, t)`` classes of the test clips of all folds by an ``intra_knn`` head at the end of E epochs of training."""


@dataclass(frozen=True)
class Outcome:
    """Predictions of one fold's test clips by one head."""

    fold: str
    train_size: str
    head_seed: int
    test: Rows
    """``(t,)`` clips."""
    predictions: Rows
    """``(t,)`` class indices, of a multi-label task that of the highest score; empty where the head could not be trained."""
    slices: Rows
    """Slices of the test clips, where the head sees slices of clips of a single class; else empty."""
    slice_predictions: Rows
    chosen: float | None = None
    """The regulariser or k chosen on the validation part."""
    reason: str = ""
    """Why there are no predictions."""
    ranks: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    """``(t,)`` how many classes stand before a clip's own, where there are many classes; else empty."""
    scores: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """``(t, C)`` of a multi-label task, ``(t, 1)`` of a binary one's positive class, else ``(t, 0)``."""
    curve: Floats = field(default_factory=lambda: np.empty((0, 2)))
    """``(p, 2)`` steps of fine-tuning and the headline metric of the test clips after them, where they were watched.

    The last are the steps of the whole training and the metric of the weights that are scored.
    """


@dataclass(frozen=True)
class Problem:
    """One head to be trained: a fold, a training subset and a replica, in units (clips or slices)."""

    fold: Fold
    train_size: TrainSize
    replica: int
    labels: Targets
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
    if protocol.head == "intra_knn":
        return _intra_knn(protocol, material)
    units = Units(material, protocol.unit)
    problems, failed = problems_of(protocol, material, units, seed)
    run = {"converged": _converged, "adam": _adam, "knn": _knn}[protocol.head]
    return [*run(protocol, material, units, problems, seed), *failed] if problems else failed


def _shuffled(material: Material, fold: Fold, seed: int, replica: int) -> Targets:
    """Labels with those of the fold's training and validation clips permuted among each other."""
    rows = np.concatenate([fold.train, fold.valid])
    labels = material.labels.copy()
    labels[rows] = numpy_stream(seed, "shuffled", material.task, fold.name, replica).permutation(labels[rows])
    return labels


def problems_of(protocol: Protocol, material: Material, units: Units, seed: int) -> tuple[list[Problem], list[Outcome]]:
    """The grid's problems, and outcomes that say why for subsets that cannot be drawn; one failed fold fails the others."""
    problems, failed = [], []
    for fold, size in product(material.folds, protocol.train_sizes):
        for replica in range(_replicas(protocol, size)):
            labels = _shuffled(material, fold, seed, replica) if protocol.shuffled_labels else material.labels
            try:
                train = fold.train if size == "full" else _subset(protocol, labels, fold, size, replica)
            except DataError as error:
                nothing = fold.test[:0]
                facts = (fold.name, str(size), replica, fold.test)
                failed.append(Outcome(*facts, nothing, nothing, nothing, reason=str(error)))
                continue
            refit = np.sort(np.concatenate([fold.train, fold.valid])) if size == "full" else train
            parts = (units.of(part) for part in (train, fold.valid, refit))
            problems.append(Problem(fold, size, replica, labels[units.clip], *parts))
    incomplete = {(outcome.train_size, outcome.head_seed) for outcome in failed}
    return [p for p in problems if (str(p.train_size), p.replica) not in incomplete], failed


def _replicas(protocol: Protocol, size: TrainSize) -> int:
    """A convex head on all clips, and a vote among them, have nothing to vary but shuffled labels."""
    settled = size == "full" and protocol.head in {"converged", "knn"} and not protocol.shuffled_labels
    return 1 if settled else protocol.replicas


def _subset(protocol: Protocol, labels: Targets, fold: Fold, size: TrainSize, replica: int) -> Rows:
    """Drawn by the replica alone, so that all methods and pre-training seeds see the same subsets."""
    seed = stream_seed(SPLIT_SEED, "subset", replica)
    if isinstance(size, str):
        return random_subset(fold.train, int(size.removesuffix("-total")), seed, protocol.short_classes)
    return nested_subsets(labels, fold.train, size, seed, protocol.short_classes)


def _converged(
    protocol: Protocol, material: Material, units: Units, problems: list[Problem], seed: int
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
        chosen[index] = strengths[best_candidate(candidates, problem.labels[problem.valid], material.metric)]
    final_sets = [TrainingSet(problem.refit, problem.labels[problem.refit]) for problem in problems]
    final = fit(units.features, final_sets, chosen, material.n_classes, standardise=protocol.standardise).classifiers
    for index, problem in enumerate(problems):
        yield outcome_of(material, units, problem, _predictor(final, index, units), float(chosen[index, 0]))


def best_candidate(probabilities: Sequence[Floats], labels: Targets, metric: str = "accuracy") -> int:
    """Index of the best of several candidates ``(n, C)`` by ``metric`` on validation labels ``(n,)`` or ``(n, C)``.

    Ties go to the lower log-loss, then to the first: candidates come from strong to weak regularisation.
    """
    merits = [merit(metric, labels, p) for p in probabilities]
    return max(range(len(merits)), key=lambda index: merits[index])


def _adam(
    protocol: Protocol, material: Material, units: Units, problems: list[Problem], seed: int
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
        yield outcome_of(material, units, problem, _predictor(heads, index, units), None)


def _knn(protocol: Protocol, material: Material, units: Units, problems: list[Problem], seed: int) -> Iterator[Outcome]:
    """k chosen on the validation part among neighbours in the training part; then a vote among all that may be learnt from."""
    del seed  # a vote draws nothing
    for problem in problems:
        mean, deviation = statistics(units.features, problem.train, protocol.standardise)
        vote = _Vote(((units.features.double() - mean) / deviation).float(), problem.labels, material.n_classes)
        merits = vote.merits(material.metric, problem, protocol.neighbours)
        k = protocol.neighbours[int(np.argmax(merits))]
        voted = vote.one_hot if units.sliced and material.kind == "single" else vote.shares
        yield outcome_of(material, units, problem, partial(voted, problem.refit, k), float(k))


@dataclass(frozen=True)
class _Vote:
    """Nearest neighbours among some units of a standardised feature matrix."""

    features: Tensor
    labels: Targets
    n_classes: int

    def merits(self, metric: str, problem: Problem, ks: Sequence[int]) -> list[float]:
        """The headline metric of the validation part for several numbers of neighbours in the training part."""
        known, asked = problem.train, problem.valid
        labels = self.labels[asked]
        if metric in BY_PREDICTION and labels.ndim == 1:
            tried = knn_grid(self.features[known], self.labels[known], self.features[asked], ks, self.n_classes)
            return [BY_PREDICTION[metric](labels, predictions).value for predictions in tried]
        return [merit(metric, labels, self.shares(known, k, asked))[0] for k in ks]

    def shares(self, known: Rows, k: int, asked: Rows) -> Floats:
        """Share of the neighbours that have each class, ``(len(asked), K)``."""
        own = self.labels[known]
        targets = own if own.ndim == 2 else np.eye(self.n_classes, dtype=np.uint8)[own]
        return knn_shares(self.features[known], targets, self.features[asked], k).astype(np.float64)

    def one_hot(self, known: Rows, k: int, asked: Rows) -> Floats:
        """Predictions as probabilities ``(len(asked), K)``: the slices of a clip have a vote each."""
        own, features = self.labels[known], self.features
        predictions = knn_grid(features[known], own, features[asked], [k], self.n_classes)[0]
        certain: Floats = np.eye(self.n_classes)[predictions]
        return certain


def _own(material: Material) -> list[Outcome]:
    """The classifier that was trained with the encoder, on the fold that the part left out."""
    head = material.head
    if head is None:
        raise ValueError("the protocol asks for the run's own classifier, and the run has none")
    units = Units(material, "slice")

    def probabilities(asked: Rows) -> Floats:
        return classifier_probabilities(head, units.features[asked], material.kind)

    nothing = np.empty(0, np.int64)
    problems = [Problem(fold, "full", 0, *[nothing] * 4) for fold in material.folds]
    return [outcome_of(material, units, problem, probabilities, None) for problem in problems]


@torch.inference_mode()
def classifier_probabilities(head: nn.Linear, features: Tensor, kind: Kind) -> Floats:
    """Class probabilities ``(n, C)`` in float64 of a trained classifier on embeddings ``(n, D)``."""
    logits = head(features).double()
    result: Floats = (logits.sigmoid() if kind == "multi" else logits.softmax(dim=1)).numpy()
    return result


def _intra_knn(protocol: Protocol, material: Material) -> list[Outcome]:
    """Votes within the set of all folds' test clips: of the finished encoder, or of each epoch that the run was probed at."""
    test = set_clips(material.folds)
    predicted = material.probed
    if predicted is None:
        of_test = np.isin(material.embeddings.clip_of_slice, test)
        slices = torch.from_numpy(material.embeddings.slices[of_test])
        clip = np.searchsorted(test, material.embeddings.clip_of_slice[of_test])
        predicted = vote(slices, material.labels[test], clip, protocol.neighbours[0], material.n_classes)[None]
    nothing, k = test[:0], float(protocol.neighbours[0])
    none = np.empty((len(test), 0), np.float32)
    return [
        Outcome(SET, "full", epoch, test, predictions, nothing, nothing, k, scores=none)
        for epoch, predictions in enumerate(predicted)
    ]


def _predictor(classifiers: LinearClassifiers, index: int, units: Units) -> Callable[[Rows], Floats]:
    return lambda asked: classifiers.probabilities(index, units.features[asked])


def outcome_of(
    material: Material,
    units: Units,
    problem: Problem,
    probabilities_of: Callable[[Rows], Floats],
    chosen: float | None,
) -> Outcome:
    """Predict the fold's test clips, and its slices where the head sees slices."""
    test = problem.fold.test
    asked = units.of(test)
    probabilities = probabilities_of(asked)
    of_clip = units.clip_probabilities(asked, probabilities)
    sliced = units.sliced and material.kind != "multi"
    ranked = material.kind == "single" and material.n_classes >= ENOUGH_CLASSES
    by_kind: dict[Kind, Floats] = {"single": of_clip[:, :0], "binary": of_clip[:, 1:], "multi": of_clip}
    return Outcome(
        problem.fold.name,
        str(problem.train_size),
        problem.replica,
        test,
        of_clip.argmax(axis=1),
        asked if sliced else asked[:0],
        probabilities.argmax(axis=1) if sliced else asked[:0],
        chosen,
        ranks=ranks(material.labels[test], of_clip) if ranked else test[:0],
        scores=by_kind[material.kind].astype(np.float32),
    )
