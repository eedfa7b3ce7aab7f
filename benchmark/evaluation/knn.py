"""Nearest neighbours by cosine similarity with a plain majority vote (fonseca2021, section 3.3 and its released code).

Neighbours of equal similarity are taken in the order of their rows, and a vote that is tied goes to the lowest class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from benchmark.errors import DataError

Labels = NDArray[np.integer]

_MEMORY = 1 << 26
"""Bytes that one block of the similarity matrix may take."""

_GROUP = 8
"""Columns of a group that are ranked by their maximum first."""


def knn_predict(train: Tensor, train_labels: Labels, test: Tensor, k: int, n_classes: int) -> Labels:
    """Classes ``(t,)`` of ``test (t, D)`` by the ``k`` nearest rows of ``train (m, D)``; a k above m means all rows."""
    predictions: Labels = knn_grid(train, train_labels, test, [k], n_classes)[0]
    return predictions


def knn_grid(train: Tensor, train_labels: Labels, test: Tensor, ks: Sequence[int], n_classes: int) -> Labels:
    """Predictions ``(len(ks), t)`` for several numbers of neighbours from one ranking, so that k can be validated.

    Args:
        train: ``(m, D)``
        train_labels: ``(m,)``
        test: ``(t, D)``
        ks: each at least 1; one above m counts as m.
        n_classes: classes that take part in the vote.
    """
    return _classify(train, train_labels, test, ks, n_classes, lambda similarity, first: similarity)


def knn_shares(train: Tensor, targets: NDArray[np.integer], test: Tensor, k: int) -> NDArray[np.float32]:
    """Share ``(t, K)`` of the ``k`` nearest rows of ``train (m, D)`` that have each class.

    Args:
        train: ``(m, D)``
        targets: zeros and ones ``(m, K)``, any number of ones a row.
        test: ``(t, D)``
        k: at least 1; one above m counts as m.
    """
    bank, queries = normalize(train, dim=1), normalize(test, dim=1)
    ballots = torch.from_numpy(targets).to(train.device)
    k = min(k, len(bank))
    votes = torch.zeros((len(queries), ballots.shape[1]), dtype=torch.int32, device=train.device)
    block = max(1, _MEMORY // (bank.element_size() * len(bank)))
    for first in range(0, len(queries), block):
        _, neighbours = _nearest(queries[first : first + block] @ bank.T, k)
        for column in neighbours.T:
            votes[first : first + block] += ballots[column]
    shares: NDArray[np.float32] = (votes / k).cpu().numpy()
    return shares


def intra_set_knn(
    features: Tensor, labels: Labels, clip_of_row: NDArray[np.int64], k: int, n_classes: int
) -> tuple[NDArray[np.int64], Labels]:
    """Classify each clip of a set by the rest of the set (fonseca2021, section 3.3).

    Every row (a patch of a clip) is classified by its ``k`` nearest rows of other clips; a clip gets the class of most
    of its rows, the lowest of those that are tied.

    Args:
        features: ``(n, D)``
        labels: ``(n,)`` class of each row.
        clip_of_row: ``(n,)`` clip that each row belongs to.
        k: neighbours, at most as many as there are rows of other clips.
        n_classes: classes that take part in the vote.

    Returns:
        The clips ``(c,)`` in ascending order, and their predictions ``(c,)``.

    Raises:
        DataError: the set has a single clip.
    """
    clips, clip = np.unique(clip_of_row, return_inverse=True)
    if len(clips) < 2:
        raise DataError("Nearest neighbours within a set need at least two clips; give the set more clips.")
    rows, columns = (torch.from_numpy(index).to(features.device) for index in _same_clip(clip))

    def without_own_clip(similarity: Tensor, first: int) -> Tensor:
        begin, end = torch.searchsorted(
            rows, torch.tensor([first, first + len(similarity)], device=rows.device)
        ).tolist()
        similarity[rows[begin:end] - first, columns[begin:end]] = -torch.inf
        return similarity

    of_row = _classify(features, labels, features, [k], n_classes, without_own_clip)[0]
    votes = np.bincount(clip * n_classes + of_row, minlength=len(clips) * n_classes).reshape(len(clips), n_classes)
    return clips, votes.argmax(1)


def _same_clip(clip: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every pair of rows of one clip, by first row: a few a row, where a mask would be as large as the similarities."""
    by_clip = np.argsort(clip, kind="stable")
    counts = np.bincount(clip)
    begin, size = (np.cumsum(counts) - counts)[clip], counts[clip]
    rows = np.repeat(np.arange(len(clip)), size)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(size) - size, size)
    return rows, by_clip[np.repeat(begin, size) + place]


def _classify(
    train: Tensor,
    train_labels: Labels,
    test: Tensor,
    ks: Sequence[int],
    n_classes: int,
    exclude: Callable[[Tensor, int], Tensor],
) -> Labels:
    """Predictions ``(len(ks), t)``; ``exclude(similarity, first)`` sets to minus infinity what must not vote.

    ``similarity`` is the block ``(b, m)`` of the test rows from ``first`` on.
    """
    if min(ks) < 1:
        raise ValueError(f"numbers of neighbours {list(ks)}")
    bank, queries = normalize(train, dim=1), normalize(test, dim=1)
    labels = torch.from_numpy(train_labels).to(train.device)
    deepest = min(max(ks), len(bank))
    block = max(1, _MEMORY // (bank.element_size() * len(bank)))
    predictions = torch.empty((len(ks), len(queries)), dtype=torch.int64, device=train.device)
    for first in range(0, len(queries), block):
        similarity = exclude(queries[first : first + block] @ bank.T, first)
        nearest, neighbours = _nearest(similarity, deepest)
        ballots, allowed = labels[neighbours], (nearest > -torch.inf).long()
        for position, k in enumerate(ks):
            votes = ballots.new_zeros((len(ballots), n_classes)).scatter_add_(1, ballots[:, :k], allowed[:, :k])
            predictions[position, first : first + block] = votes.argmax(1)
    result: Labels = predictions.cpu().numpy()
    return result


def _nearest(similarity: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` largest of each row ``(b, m)`` and their columns, both ``(b, k)``, falling; ties by rising column.

    ``topk`` is far cheaper than a sort, but takes any columns of those tied for the last place: such rows are sorted.
    """
    largest, columns = _largest(similarity, min(k + 1, similarity.shape[1]))
    tied = (largest[:, k:] == largest[:, k - 1 : k]).any(dim=1)
    columns = columns[:, :k].sort(dim=1).values
    values, order = similarity.gather(1, columns).sort(dim=1, descending=True, stable=True)
    columns = columns.gather(1, order)
    if tied.any():
        ranked = similarity[tied].sort(dim=1, descending=True, stable=True)
        values[tied], columns[tied] = ranked.values[:, :k], ranked.indices[:, :k]
    return values, columns


def _largest(similarity: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """``topk`` of each row ``(b, m)``, several times as fast where ``k`` is a small part of a row.

    A value among the k largest lies in one of the k groups with the largest maxima: else each of these would hold a value as
    large. So maxima are ranked first, and then what their groups hold. A group is every (m / _GROUP)-th column, so that maxima
    are taken along memory.
    """
    n_groups = similarity.shape[1] // _GROUP
    if n_groups < 4 * k:
        return similarity.topk(k, dim=1)
    grouped = n_groups * _GROUP
    best = similarity[:, :grouped].reshape(-1, _GROUP, n_groups).amax(1).topk(k, dim=1, sorted=False).indices
    offsets = torch.arange(0, grouped, n_groups, device=similarity.device)
    rest = torch.arange(grouped, similarity.shape[1], device=similarity.device).expand(len(similarity), -1)
    columns = torch.cat([(best[:, :, None] + offsets).flatten(1), rest], 1)
    values, places = similarity.gather(1, columns).topk(k, dim=1)
    return values, columns.gather(1, places)
