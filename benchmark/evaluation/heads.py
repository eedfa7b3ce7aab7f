"""Linear heads trained with minibatch Adam, all heads of a grid as one batched tensor problem.

The head is that of tagliasacchi2020 (section IV): one linear layer from the frozen embedding to the logits, trained on
the cross entropy by Adam with its default moments; where a row has any number of classes, the mean over classes of their binary
cross entropies. A head's initial weights and minibatches come from streams of its
own seed, so what it learns depends on its seed and its training set, never on the heads that are trained beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.adam import adam

from benchmark.evaluation.linear import LinearClassifiers, Link, Rows, TrainingSet, link_of, statistics
from benchmark.seeding import numpy_stream

_MEMORY = 1 << 28
"""Bytes that one batch of heads may take; a single larger head is trained alone."""


def fit_heads(
    features: Tensor,
    sets: Sequence[TrainingSet],
    seeds: Sequence[int],
    n_classes: int,
    *,
    lr: float,
    steps: int,
    batch_size: int,
    standardise: bool,
) -> LinearClassifiers:
    """Train one head per training set.

    Args:
        features: ``(n, D)`` float32, shared by all heads, not standardised; heads are trained on its device.
        sets: H training sets; the same object may occur under several seeds.
        seeds: H seeds, of initial weights and minibatches.
        n_classes: K. A class that a set lacks keeps a logit and is merely never a target.
        lr: Adam's learning rate.
        steps: minibatches that each head sees.
        batch_size: rows a minibatch; a smaller training set is used whole at every step.
        standardise: z-score the features by the statistics of each head's own training rows.

    Returns:
        H classifiers on the raw features, in the order of ``sets``.
    """
    if len(sets) != len(seeds):
        raise ValueError(f"{len(sets)} training sets and {len(seeds)} seeds")
    width = features.shape[1]
    weight = features.new_zeros((len(sets), n_classes, width), dtype=torch.float64)
    bias = features.new_zeros((len(sets), n_classes), dtype=torch.float64)
    link = link_of(sets)
    for chunk in _chunks(sets, width, n_classes, steps, batch_size):
        chosen_sets, chosen_seeds = [sets[index] for index in chunk], [seeds[index] for index in chunk]
        mean, deviation = _statistics(features, chosen_sets, standardise)
        minibatches = _Minibatches(features, chosen_sets, chosen_seeds, steps, batch_size)
        if standardise:
            minibatches.standardise(mean, deviation)
        batch_weight, batch_bias = _initial_batch(chosen_seeds, features, n_classes)
        _train(batch_weight, batch_bias, minibatches, lr, link)
        weight[chunk] = batch_weight.double() / deviation[:, None]
        bias[chunk] = batch_bias.double() - (weight[chunk] @ mean[:, :, None]).squeeze(2)
    return LinearClassifiers(weight, bias, link)


def logits(classifiers: LinearClassifiers, features: Tensor) -> Tensor:
    """Logits ``(H, n, K)``, float64, of every head on every row of ``features (n, D)``."""
    return features.double() @ classifiers.weight.mT + classifiers.bias[:, None]


def initial_parameters(seed: int, width: int, n_classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight ``(K, D)`` and bias ``(K,)``, distributed as ``torch.nn.Linear`` starts them: uniform within 1/sqrt(D)."""
    bound = 1 / sqrt(width)
    drawn = numpy_stream(seed, "heads", "init").uniform(-bound, bound, (n_classes, width + 1)).astype(np.float32)
    return drawn[:, :-1], drawn[:, -1]


def minibatch_positions(seed: int, size: int, steps: int, batch_size: int) -> Rows:
    """Positions within a training set of ``size`` rows that each step sees: ``(steps, min(batch_size, size))``.

    Shuffled passes over the set follow one another without a gap, and are cut into equal minibatches: each row is seen
    once a pass, and no row is dropped where ``size`` is not a multiple. A longer training begins like a shorter one.
    """
    batch = min(batch_size, size)
    passes = ceil(steps * batch / size)
    ordered = np.broadcast_to(np.arange(size), (passes, size))
    shuffled: Rows = numpy_stream(seed, "heads", "order").permuted(ordered, axis=1)
    return shuffled.reshape(-1)[: steps * batch].reshape(steps, batch)


class _Minibatches:
    """The minibatches of H heads: ``(H, b, D)`` features, in one tensor used again, and their targets.

    Targets are class indices ``(H, b, 1)``, or zeros and ones ``(H, b, K)``.
    """

    def __init__(
        self, features: Tensor, sets: Sequence[TrainingSet], seeds: Sequence[int], steps: int, batch_size: int
    ) -> None:
        positions = [
            minibatch_positions(seed, len(training.rows), steps, batch_size)
            for training, seed in zip(sets, seeds, strict=True)
        ]
        rows = np.stack([training.rows[chosen] for training, chosen in zip(sets, positions, strict=True)], axis=1)
        distinct = list({id(training): training for training in sets}.values())
        firsts = np.cumsum([0, *(len(training.rows) for training in distinct)])
        first_of = {id(training): first for training, first in zip(distinct, firsts, strict=False)}
        places = np.stack([first_of[id(t)] + chosen for t, chosen in zip(sets, positions, strict=True)], axis=1)
        self._features = features
        self._rows = torch.from_numpy(rows).to(features.device)
        labels = torch.from_numpy(np.concatenate([training.labels for training in distinct])).to(features.device)
        self._labels = labels if labels.ndim == 2 else labels[:, None]
        self._places = torch.from_numpy(places).to(features.device)
        self._shift: Tensor | None = None
        self._scale = features.new_ones(())

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Give rows minus ``mean (H, D)`` over ``deviation (H, D)`` from now on."""
        self._scale = (1 / deviation)[:, None].to(self._features.dtype)
        self._shift = (-mean / deviation)[:, None].to(self._features.dtype)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        batch = self._features.new_empty((*self._rows.shape[1:], self._features.shape[1]))  # fresh memory is slow
        for rows, places in zip(self._rows, self._places, strict=True):
            torch.index_select(self._features, 0, rows.view(-1), out=batch.view(-1, batch.shape[2]))
            if self._shift is not None:
                torch.addcmul(self._shift, batch, self._scale, out=batch)
            yield batch, self._labels[places]


def _train(weight: Tensor, bias: Tensor, minibatches: _Minibatches, lr: float, link: Link) -> None:
    """Minimise the cross entropy of heads of ``weight (H, K, D)`` and ``bias (H, K)``, in place.

    The gradient of cross entropy by the logits is the softmax minus the one-hot label, and of binary cross entropy the
    sigmoid minus the target, so no graph is recorded.
    """
    gradients = [torch.zeros_like(weight), torch.zeros_like(bias)]
    adam_step = _adam([weight, bias], gradients, lr)
    for batch, labels in minibatches:
        logits = torch.baddbmm(bias[:, None], batch, weight.mT)
        if link == "softmax":
            error = logits.softmax(2).scatter_(2, labels, -1, reduce="add")
            error /= batch.shape[1]
        else:
            error = logits.sigmoid_().sub_(labels)
            error /= batch.shape[1] * labels.shape[2]
        torch.bmm(error.mT, batch, out=gradients[0])
        torch.sum(error, 1, out=gradients[1])
        adam_step()


def _adam(parameters: list[Tensor], gradients: list[Tensor], lr: float) -> Callable[[], None]:
    """One step of ``torch.optim.Adam(parameters, lr, fused=True)`` a call, from what ``gradients`` hold by then.

    The class loads the compiler of graphs with its first use, two seconds that most evaluations would spend on nothing else.
    """
    means, squares = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    counts = [torch.zeros((), device=parameter.device) for parameter in parameters]
    step = partial(adam, parameters, gradients, means, squares, [], counts, fused=True)
    defaults = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
    return partial(step, lr=lr, amsgrad=False, maximize=False, **defaults)


def _initial_batch(seeds: Sequence[int], features: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """Initial weights ``(H, K, D)`` and biases ``(H, K)`` of a batch of heads."""
    drawn = [initial_parameters(seed, features.shape[1], n_classes) for seed in seeds]
    weights, biases = zip(*drawn, strict=True)
    return torch.from_numpy(np.stack(weights)).to(features), torch.from_numpy(np.stack(biases)).to(features)


def _statistics(features: Tensor, sets: Sequence[TrainingSet], standardise: bool) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation ``(H, D)`` of each set's rows, computed once for rows that several heads share."""
    distinct = {training.rows.tobytes(): training.rows for training in sets}
    found = {key: statistics(features, rows, standardise) for key, rows in distinct.items()}
    means, deviations = zip(*(found[training.rows.tobytes()] for training in sets), strict=True)
    return torch.stack(means), torch.stack(deviations)


def _chunks(
    sets: Sequence[TrainingSet], width: int, n_classes: int, steps: int, batch_size: int
) -> Iterator[list[int]]:
    """Indices of heads that are trained together: with minibatches of one size, and within the memory allowed."""
    sizes = [min(batch_size, len(training.rows)) for training in sets]
    for size in sorted(set(sizes)):
        alike = [index for index, other in enumerate(sizes) if other == size]
        parameters, minibatch, positions = (
            6 * 4 * (width + 1) * n_classes,
            4 * size * (width + 3 * n_classes),
            32 * steps,
        )
        together = max(1, _MEMORY // (parameters + minibatch + positions * size))
        yield from (alike[first : first + together] for first in range(0, len(alike), together))
