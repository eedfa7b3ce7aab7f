"""Nearest neighbours within one set of clips (fonseca2021 section 3.3 and its released code)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmark.corpus.splits import Fold
from benchmark.evaluation.knn import intra_set_knn

Ints = NDArray[np.int64]


def set_clips(folds: Sequence[Fold]) -> Ints:
    """The clips of the set, ascending: the test parts of all folds together."""
    return np.unique(np.concatenate([fold.test for fold in folds]))


def vote(slices: Tensor, labels: NDArray[np.integer], clip_of_slice: Ints, k: int, n_classes: int) -> Ints:
    """A class for each clip ``(n,)`` by its slices' ``k`` nearest slices of other clips; see :func:`.knn.intra_set_knn`.

    Args:
        slices: ``(S, D)``.
        labels: ``(n,)`` of clips.
        clip_of_slice: ``(S,)`` position of each slice's clip, ascending, every clip at least once.
        k: neighbours of a slice.
        n_classes: classes that take part in the vote.
    """
    _, predictions = intra_set_knn(slices, labels[clip_of_slice], clip_of_slice, k, n_classes)
    return predictions.astype(np.int64)
