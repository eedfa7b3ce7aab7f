r"""Logistic regression taken to its optimum, for a whole grid of problems at once: multinomial, or one class against the rest.

One problem is scikit-learn's: over standardised training rows :math:`x_i` with labels :math:`y_i`,

.. math:: \min_{W, b}\; C \sum_i -\log \mathrm{softmax}(W x_i + b)_{y_i} + \tfrac12 \lVert W \rVert^2

with the intercept unpenalised. (For two classes scikit-learn penalises one weight vector instead of a symmetric pair,
so its optimum at ``2 C`` is ours at ``C``.) Where a row has any number of classes, :math:`y_{ik} \in \{0, 1\}`, its loss is
:math:`\sum_k \log(1 + e^{z_{ik}}) - y_{ik} z_{ik}` with :math:`z_i = W x_i + b`: K binary problems, each scikit-learn's at the
same C, solved together because they share their rows. A grid has many training sets (folds, subsets, replicas), each at
several C.

What makes it fast:

- The optimum lies in the span of the rows, so ``n < D`` rows are first rotated into ``n`` dimensions.
- L-BFGS (Nocedal and Wright, Numerical Optimization, section 7.2, in the compact form of equation 7.24) starts from a
  metric that knows the features and which rows are still undecided: the inverse of
  :math:`C\,Z^\top \mathrm{diag}(w) Z + I` with :math:`w_i = \sum_k p_{ik}(1 - p_{ik}) / (K - 1)`, which at ``W = 0`` is
  the exact Hessian (one against the rest: with K in place of K - 1). It is renewed after 4, 16, 64, ... iterations.
- Logits are linear in the step length, so a line search costs no matrix product; an iteration takes three, and all C of
  a set, and all sets, share them.
- Problems that have converged leave the batch.
- Single precision goes most of the way; double precision measures the residual and finishes what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from benchmark.evaluation.linear import LinearClassifiers, TrainingSet, link_of, statistics

_MEMORY = 1 << 29
"""Bytes that one batch of training sets may take; a single larger set is solved alone."""
_WORTH_THREADS = 1 << 28
"""Multiplications an iteration from which on it runs on all threads."""
_HISTORY = 10
_MARGIN = 0.8
"""Fraction of the tolerance asked of single precision, so that double precision mostly finds nothing left to do."""
_FIRST_ROUND = 4
"""Iterations before the metric is first renewed; then each time after four times as many."""
_BACKTRACKS = 30
_ARMIJO = 1e-4
_STUCK = 1e-3
"""A step that promises less than this fraction of the rounding error is not worth taking."""
_SMALLEST = 1e-6
"""Parameters below this norm count as this, so that features without any information converge too."""


@dataclass(frozen=True)
class Solution:
    """Optima of a grid of S training sets at C strengths each."""

    classifiers: LinearClassifiers
    """``S * C`` of them, set by set."""
    residual: NDArray[np.float64]
    """``(S, C)`` norm of the gradient relative to that of the parameters, at the end."""
    iterations: int
    """L-BFGS iterations of the slowest problem."""


def fit(
    features: Tensor,
    sets: Sequence[TrainingSet],
    strengths: NDArray[np.float64],
    n_classes: int,
    *,
    standardise: bool = True,
    tolerance: float = 1e-3,
    max_iterations: int = 2000,
) -> Solution:
    """Solve every training set at every one of its strengths.

    Args:
        features: ``(n, D)``, shared by all sets.
        sets: S training sets.
        strengths: ``(S, C)`` inverse regularisation strengths C.
        n_classes: K. A class that a set lacks gets probability 0 there, and one that each of its rows has among others 1.
        standardise: z-score the features by the statistics of each set's own rows.
        tolerance: a problem is done when its gradient's norm is at most this fraction of its parameters'. The objective
            is strongly convex in W with modulus 1, so the weights are then within about this fraction of the optimum.
        max_iterations: after which a problem is left as it stands; ``Solution.residual`` tells.
    """
    shape = (len(sets), strengths.shape[1], n_classes)
    weight = features.new_zeros((*shape, features.shape[1]), dtype=torch.float64)
    bias = features.new_zeros(shape, dtype=torch.float64)
    residual = np.zeros(strengths.shape)
    iterations = 0
    link = link_of(sets)
    kind = _Batch if link == "softmax" else _OneAgainstRest
    for chunk in _chunks(features, sets, strengths.shape[1], n_classes):
        spans = [_span(features, sets[index], standardise) for index in chunk]
        batch = kind.stack(spans, [sets[index] for index in chunk], strengths[chunk], n_classes)
        with _few_threads(batch):
            rough = batch.single()
            near, _, rough_iterations = _minimise(rough, rough.zero(), _MARGIN * tolerance, max_iterations)
            theta, batch_residual, batch_iterations = _minimise(batch, near.double(), tolerance, max_iterations)
        for position, index in enumerate(chunk):
            weight[index], bias[index] = spans[position].on_raw_features(theta[position], batch.settled[position])
        residual[chunk] = batch_residual.cpu().numpy()
        iterations = max(iterations, rough_iterations + batch_iterations)
    return Solution(LinearClassifiers(weight.flatten(0, 1), bias.flatten(0, 1), link), residual, iterations)


@dataclass(frozen=True)
class _Span:
    """Standardised training rows in an orthonormal basis of a space that holds them."""

    rows: Tensor
    """``(n, r)``"""
    basis: Tensor | None
    """``(D, r)`` orthonormal columns; None for the features' own axes (r = D)."""
    mean: Tensor
    deviation: Tensor

    def on_raw_features(self, theta: Tensor, settled: Tensor) -> tuple[Tensor, Tensor]:
        """Weights ``(C, K, D)`` and biases ``(C, K)`` of padded parameters ``(C, K, R + 1)``, R >= r; see ``_Batch.settled``."""
        weight = theta[:, :, : self.rows.shape[1]]
        if self.basis is not None:
            weight = weight @ self.basis.T
        weight = weight / self.deviation
        bias = theta[:, :, -1] - weight @ self.mean
        return weight, torch.where(settled == 0, bias, settled * torch.inf)


def _span(features: Tensor, training: TrainingSet, standardise: bool) -> _Span:
    mean, deviation = statistics(features, training.rows, standardise)
    rows = (features[torch.from_numpy(training.rows).to(features.device)].double() - mean) / deviation
    if rows.shape[0] >= rows.shape[1]:
        return _Span(rows, None, mean, deviation)
    basis, triangle = torch.linalg.qr(rows.T)
    return _Span(triangle.T, basis, mean, deviation)


def _chunks(features: Tensor, sets: Sequence[TrainingSet], n_strengths: int, n_classes: int) -> Iterator[list[int]]:
    """Indices of sets that are solved together: of similar size (padding is waste) and within the memory allowed."""
    chunk: list[int] = []
    for index in sorted(range(len(sets)), key=lambda index: len(sets[index].rows)):
        n = len(sets[index].rows)
        rank = min(n, features.shape[1]) + 1
        a_problem = 5 * n * n_classes + rank * rank + (2 * _HISTORY + 8) * rank * n_classes
        a_set = 8 * (2 * n * rank + n_strengths * a_problem)
        if chunk and (a_set * (len(chunk) + 1) > _MEMORY or n > 1.25 * len(sets[chunk[0]].rows)):
            yield chunk
            chunk = []
        chunk.append(index)
    if chunk:
        yield chunk


@dataclass(frozen=True)
class _Batch:
    """S padded training sets at C strengths. Parameters are ``(S, C, K, R + 1)``, the intercept in the last column."""

    rows: Tensor
    """``(S, n, R + 1)``; padded rows and directions are zero."""
    weights: Tensor
    """``(S, 1, 1, n)`` 1 for a row, 0 for padding."""
    label_sums: Tensor
    """``(S, 1, K, R + 1)`` sum of the rows of each class."""
    strengths: Tensor
    """``(S, C)``"""
    penalty: Tensor
    """``(R + 1,)`` 1 for weights, 0 for the intercept."""
    settled: Tensor
    """``(S, K)`` -1 for a class without a row, which is nowhere predicted; +1 for one of several that every row has; else 0."""

    @classmethod
    def stack(
        cls, spans: Sequence[_Span], sets: Sequence[TrainingSet], strengths: NDArray[np.float64], n_classes: int
    ) -> _Batch:
        n = max(span.rows.shape[0] for span in spans)
        rank = max(span.rows.shape[1] for span in spans)
        rows = spans[0].rows.new_zeros(len(sets), n, rank + 1)
        targets = rows.new_zeros(len(sets), n_classes, n)
        for position, (span, training) in enumerate(zip(spans, sets, strict=True)):
            size, width = span.rows.shape
            rows[position, :size, :width] = span.rows
            rows[position, :size, -1] = 1.0
            labels = torch.from_numpy(training.labels)
            if labels.ndim == 2:
                targets[position, :, :size] = labels.T
            else:
                targets[position, labels, torch.arange(size)] = 1.0
        penalty = rows.new_ones(rank + 1)
        penalty[-1] = 0.0
        settled = cls.settle(targets.sum(2), rows[:, :, -1].sum(1))
        return cls(
            rows=rows,
            weights=rows[:, None, None, :, -1].contiguous(),
            label_sums=(targets @ rows * (settled <= 0)[:, :, None])[:, None],
            strengths=torch.from_numpy(strengths).to(rows.device),
            penalty=penalty,
            settled=settled,
        )

    @staticmethod
    def settle(counts: Tensor, sizes: Tensor) -> Tensor:
        """``settled`` by each class's rows ``(S, K)`` and each set's ``(S,)``."""
        del sizes  # the only class of a set takes part in the softmax as any other does
        return -(counts == 0).to(counts)

    def select(self, sets: Tensor, columns: Tensor) -> _Batch:
        """The sub-grid of some sets and some strengths, by index."""
        return replace(
            self,
            rows=self.rows[sets],
            weights=self.weights[sets],
            label_sums=self.label_sums[sets],
            strengths=self.strengths[sets][:, columns],
            settled=self.settled[sets],
        )

    def products(self, theta: Tensor) -> Tensor:
        """Logits ``(S, C, K, n)`` of ``theta``, settled classes not yet masked."""
        n_sets, n_strengths, n_classes, _ = theta.shape
        return (theta.flatten(1, 2) @ self.rows.mT).view(n_sets, n_strengths, n_classes, -1)

    def single(self) -> _Batch:
        """The same problems in single precision."""
        return type(self)(*(getattr(self, part.name).float() for part in fields(self)))

    def zero(self) -> Tensor:
        """All parameters zero."""
        return torch.zeros_like(self.label_sums).repeat(1, self.strengths.shape[1], 1, 1)

    def at(self, theta: Tensor) -> _Point:
        """The objective at ``theta``."""
        mask = torch.where(self.settled == 0, 0.0, -torch.inf).to(theta)[:, None, :, None]
        return self.evaluate(theta, self.products(theta) + mask)

    def evaluate(self, theta: Tensor, logits: Tensor) -> _Point:
        """The objective at ``theta``, given its masked logits."""
        highest = logits.amax(2, keepdim=True)
        exponentials = (logits - highest).exp_()
        total = exponentials.sum(2, keepdim=True)
        log_partition = ((total.log() + highest) * self.weights).sum((2, 3))
        return self.point(theta, logits, exponentials.div_(total).mul_(self.weights), log_partition)

    def point(self, theta: Tensor, logits: Tensor, probabilities: Tensor, log_partition: Tensor) -> _Point:
        """The point at ``theta``, given the sum over rows of the log-partition functions, ``(S, C)``."""
        value = self.strengths * (log_partition - _dot(theta, self.label_sums))
        value = value + 0.5 * _dot(self.penalty * theta, theta)
        rounding = torch.finfo(theta.dtype).eps * self.strengths * log_partition.abs()
        return _Point(theta, logits, probabilities, value, rounding)

    def gradient(self, point: _Point) -> Tensor:
        """Gradient of the objective, shaped like ``theta``."""
        slope = (point.probabilities.flatten(1, 2) @ self.rows).view_as(point.theta) - self.label_sums
        gradient: Tensor = slope.mul_(self.strengths[:, :, None, None]).add_(self.penalty * point.theta)
        return gradient

    def metric(self, point: _Point) -> Tensor:
        """Inverse ``(S, C, R + 1, R + 1)`` of the mean over classes of the Hessian's diagonal blocks."""
        undecided = (point.probabilities - point.probabilities.square()).sum(2) / self.blocks(point.theta.shape[2])
        blocks = [self.rows.mT @ (self.rows * share[:, :, None]) for share in undecided.unbind(1)]
        hessian = torch.stack(blocks, 1) * self.strengths[:, :, None, None]
        diagonal = hessian.diagonal(dim1=2, dim2=3)
        rounding = 8 * torch.finfo(hessian.dtype).eps * diagonal.amax(2, keepdim=True)
        diagonal.add_(self.penalty + rounding + _SMALLEST)
        inverse: Tensor = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
        return inverse

    def blocks(self, n_classes: int) -> int:
        """Over how many blocks the mean is taken: probabilities that sum to one leave one class fewer to decide."""
        return max(n_classes - 1, 1)


class _OneAgainstRest(_Batch):
    """The same where a row has any number of classes: each class decides for itself."""

    @staticmethod
    def settle(counts: Tensor, sizes: Tensor) -> Tensor:
        """A class that no row or every row has leaves its intercept without an optimum."""
        return (counts == sizes[:, None]).to(counts) - (counts == 0).to(counts)

    def evaluate(self, theta: Tensor, logits: Tensor) -> _Point:
        """The objective at ``theta``, given its masked logits."""
        log_partition = (softplus(logits) * self.weights).sum((2, 3))
        return self.point(theta, logits, logits.sigmoid().mul_(self.weights), log_partition)

    def blocks(self, n_classes: int) -> int:
        """Each class has its own."""
        return n_classes


@contextmanager
def _few_threads(batch: _Batch) -> Iterator[None]:
    """One thread where an iteration is so little work that several would mostly wait for each other."""
    n_strengths = batch.strengths.shape[1]
    multiplications = batch.rows.numel() * n_strengths * batch.settled.shape[1]
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if multiplications < _WORTH_THREADS else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class _Point:
    """Where a batch of problems stands."""

    theta: Tensor
    """``(S, C, K, R + 1)``"""
    logits: Tensor
    """``(S, C, K, n)``, minus infinity at settled classes."""
    probabilities: Tensor
    """``(S, C, K, n)``, zero at padded rows."""
    value: Tensor
    """``(S, C)``"""
    rounding: Tensor
    """``(S, C)`` by how much rounding may have changed ``value``."""

    def select(self, sets: Tensor, columns: Tensor) -> _Point:
        """The sub-grid of some sets and some strengths, by index."""
        tensors = (self.theta, self.logits, self.probabilities, self.value, self.rounding)
        return _Point(*(_sub_grid(tensor, sets, columns) for tensor in tensors))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product over the parameters, ``(S, C)``."""
    return (a * b).sum((2, 3))


def _residual(point: _Point, gradient: Tensor) -> Tensor:
    size: Tensor = torch.linalg.vector_norm(point.theta, dim=(2, 3)).clamp_min(_SMALLEST)
    residual: Tensor = torch.linalg.vector_norm(gradient, dim=(2, 3)) / size
    return residual


def _minimise(batch: _Batch, start: Tensor, tolerance: float, max_iterations: int) -> tuple[Tensor, Tensor, int]:
    """L-BFGS on every problem from ``start``; returns parameters, residuals ``(S, C)`` and the iterations used."""
    point = batch.at(start)
    state = _State.without_metric(point, batch.gradient(point))
    theta, residual = state.point.theta.clone(), torch.full_like(state.point.value, torch.inf)
    sets, columns = (torch.arange(size, device=theta.device) for size in batch.strengths.shape)
    pending = torch.ones_like(batch.strengths, dtype=torch.bool)
    renewal = 0
    for iteration in range(max_iterations + 1):
        norms = _residual(state.point, state.gradient)
        where = sets[:, None], columns
        theta[where] = torch.where(pending[:, :, None, None], state.point.theta, theta[where])
        residual[where] = torch.where(pending, norms, residual[where])
        pending &= norms > tolerance
        if iteration == max_iterations or not pending.any():
            break
        kept = pending.any(1).nonzero()[:, 0], pending.any(0).nonzero()[:, 0]
        if (len(kept[0]), len(kept[1])) != pending.shape:
            batch, state, pending = batch.select(*kept), state.select(*kept), _sub_grid(pending, *kept)
            sets, columns = sets[kept[0]], columns[kept[1]]
        if iteration == renewal:
            state, renewal = state.renewed(batch), max(4 * renewal, _FIRST_ROUND)
        moved, stuck = _line_search(batch, state.point, state.gradient, state.direction())
        pending &= ~stuck
        state = state.after(moved, batch.gradient(moved))
    return theta, residual, iteration


@dataclass(frozen=True)
class _State:
    """Where L-BFGS stands, and what it remembers of the problems that are still active."""

    point: _Point
    gradient: Tensor
    metric: Tensor
    """``(S, C, R + 1, R + 1)`` inverse Hessian that the history improves on."""
    scaled: Tensor
    """The metric times the gradient."""
    history: _History

    @classmethod
    def without_metric(cls, point: _Point, gradient: Tensor) -> _State:
        """A start from ``point``, to be renewed before the first step."""
        return cls(point, gradient, gradient.new_empty(*gradient.shape[:2], 0, 0), gradient, _History.empty(gradient))

    def renewed(self, batch: _Batch) -> _State:
        """The same point with the metric that fits there and nothing remembered."""
        metric = batch.metric(self.point)
        return _State(self.point, self.gradient, metric, self.gradient @ metric, _History.empty(self.gradient))

    def after(self, moved: _Point, gradient: Tensor) -> _State:
        """The state at ``moved``, with the step remembered."""
        scaled = gradient @ self.metric
        self.history.push(moved.theta - self.point.theta, gradient - self.gradient, scaled - self.scaled)
        return replace(self, point=moved, gradient=gradient, scaled=scaled)

    def direction(self) -> Tensor:
        """Minus the quasi-Newton inverse Hessian times the gradient."""
        return self.history.direction(self.gradient, self.scaled)

    def select(self, sets: Tensor, columns: Tensor) -> _State:
        """The sub-grid of some sets and some strengths, by index."""
        gradient, metric, scaled = (_sub_grid(t, sets, columns) for t in (self.gradient, self.metric, self.scaled))
        return _State(self.point.select(sets, columns), gradient, metric, scaled, self.history.select(sets, columns))


@dataclass
class _History:
    """The last m steps of every problem, and the changes of the gradient that they made."""

    pairs: Tensor
    """``(S, C, 2 m, P)`` steps, then the metric times the gradient's changes; ring buffers of m places each."""
    step_change: Tensor
    """``(S, C, m, m)`` inner product of a step (down) and a change that is not older (across); 1 for an empty pair."""
    change_change: Tensor
    """``(S, C, m, m)`` inner products of changes under the metric."""
    gamma: Tensor
    """``(S, C)`` factor on the metric that fits the last step."""
    pushed: int = 0

    @classmethod
    def empty(cls, gradient: Tensor) -> _History:
        """Room for steps shaped like ``gradient``."""
        n_sets, n_strengths, n_classes, width = gradient.shape
        pairs = gradient.new_zeros(n_sets, n_strengths, 2 * _HISTORY, n_classes * width)
        products = gradient.new_zeros(n_sets, n_strengths, _HISTORY, _HISTORY)
        identity = products + torch.eye(_HISTORY).to(products)
        return cls(pairs, identity, products, gradient.new_ones(n_sets, n_strengths))

    def push(self, step: Tensor, change: Tensor, scaled_change: Tensor) -> None:
        """Remember a step in place of the oldest; one too small to show any curvature is remembered as zero."""
        slot = self.pushed % _HISTORY
        curvature = _dot(step, change)
        useful = curvature > torch.finfo(curvature.dtype).tiny
        self.pairs[:, :, slot] = step.flatten(2) * useful[:, :, None]
        self.pairs[:, :, _HISTORY + slot] = scaled_change.flatten(2) * useful[:, :, None]
        step_change, change_change = self._products(change * useful[:, :, None, None])
        self.step_change[:, :, slot] = 0.0
        self.step_change[:, :, :, slot] = step_change
        self.step_change[:, :, slot, slot] = torch.where(useful, curvature, 1.0)
        self.change_change[:, :, slot] = self.change_change[:, :, :, slot] = change_change
        self.gamma = torch.where(useful, curvature / change_change[:, :, slot].where(useful, 1.0), self.gamma)
        self.pushed += 1

    def direction(self, gradient: Tensor, scaled: Tensor) -> Tensor:
        """Minus the inverse Hessian times ``gradient``, given the metric times ``gradient``."""
        if not self.pushed:
            return -scaled
        gamma = self.gamma[:, :, None]
        inverse = torch.linalg.inv(self.step_change)
        along_steps, along_changes = self._products(gradient)
        inner = _product(inverse, along_steps)
        curved = gamma * _product(self.change_change, inner) + self.step_change.diagonal(dim1=2, dim2=3) * inner
        outer = _product(inverse.mT, curved - gamma * along_changes)
        moved = _product(self.pairs.mT, torch.cat([outer, -gamma * inner], 2))
        return (-gamma[..., None] * scaled).sub_(moved.view_as(gradient))

    def _products(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Inner products, each ``(S, C, m)``, with the steps and, under the metric, with the changes."""
        products = _product(self.pairs, vector.flatten(2))
        return products[..., :_HISTORY], products[..., _HISTORY:]

    def select(self, sets: Tensor, columns: Tensor) -> _History:
        """The sub-grid of some sets and some strengths, by index."""
        return _History(
            pairs=_sub_grid(self.pairs, sets, columns),
            step_change=_sub_grid(self.step_change, sets, columns),
            change_change=_sub_grid(self.change_change, sets, columns),
            gamma=_sub_grid(self.gamma, sets, columns),
            pushed=self.pushed,
        )


def _sub_grid(tensor: Tensor, sets: Tensor, columns: Tensor) -> Tensor:
    return tensor[sets[:, None], columns]


def _product(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Matrices ``(S, C, a, b)`` times vectors ``(S, C, b)``; a row times the transpose is several times faster."""
    return (vectors[:, :, None] @ matrices.mT)[:, :, 0]


def _line_search(batch: _Batch, start: _Point, gradient: Tensor, direction: Tensor) -> tuple[_Point, Tensor]:
    """Backtrack from 1 by quadratic interpolation until Armijo's condition holds, each problem for itself.

    Returns:
        Where that leads, and which problems ``(S, C)`` stay where they are because rounding leaves nothing to gain.
    """
    change = batch.products(direction)
    slope = _dot(gradient, direction)
    stuck = -slope <= _STUCK * start.rounding
    length = torch.where(stuck, 0.0, 1.0)
    for _ in range(_BACKTRACKS):
        moved = batch.evaluate(*_along(start, length, direction, change))
        gain = moved.value - start.value
        refused = (gain > _ARMIJO * length * slope + start.rounding) & ~stuck
        if not refused.any():
            return moved, stuck
        lowest = -slope * length.square() / (2 * (gain - slope * length))
        shorter = torch.minimum(torch.maximum(lowest, 0.1 * length), 0.5 * length)
        length = torch.where(refused, shorter, length)
    return batch.evaluate(*_along(start, torch.where(refused, 0.0, length), direction, change)), stuck | refused


def _along(start: _Point, length: Tensor, direction: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """Parameters and logits a step of ``length (S, C)`` away."""
    step = length[:, :, None, None]
    return torch.addcmul(start.theta, step, direction), torch.addcmul(start.logits, step, change)
