"""What a representation looks like, whatever the labels: rank, spread, alignment, uniformity, silence, dataset identity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.evaluation.converged import fit
from benchmark.evaluation.embedding import Embeddings
from benchmark.evaluation.linear import TrainingSet
from benchmark.evaluation.metrics import class_mean_accuracy
from benchmark.seeding import numpy_stream

PAIRS = 20_000
"""Random pairs that uniformity is estimated from."""
_PAIRS_AT_A_TIME = 1_000
"""Their differences stay in the cache: all at once, most of the time goes into fresh memory."""

Matrix = NDArray[np.float64]


def diagnose(embeddings: Embeddings, seed: int) -> dict[str, float]:
    """Diagnostics of one corpus's embeddings; NaN-free, since what is undefined is left out."""
    slices = embeddings.slices.astype(np.float64)
    unit = normalised(slices)
    found = {
        "effective_rank": effective_rank(slices),
        "dimension_std": float(unit.std(axis=0).mean() * np.sqrt(unit.shape[1])),
        "silent_share": float(embeddings.silent.mean()),
    }
    same = np.flatnonzero(np.diff(embeddings.clip_of_slice) == 0)
    if same.size:
        found["alignment"] = alignment(unit[same], unit[same + 1])
    if len(unit) > 1:
        found["uniformity"] = uniformity(unit, numpy_stream(seed, "uniformity"))
    return found


def normalised(values: Matrix) -> Matrix:
    """Rows scaled to unit length; zero rows stay zero."""
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(norms > 0, norms, 1.0)


def effective_rank(values: Matrix) -> float:
    """exp of the entropy of the covariance's normalised eigenvalues ``(n, D)`` -> [1, D]; 1 for a constant embedding."""
    centred = values - values.mean(axis=0)
    eigenvalues = np.clip(np.linalg.eigvalsh(centred.T @ centred), 0.0, None)
    total = eigenvalues.sum()
    if total <= 1e-12:
        return 1.0
    shares = eigenvalues[eigenvalues > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def alignment(first: Matrix, second: Matrix) -> float:
    """Mean squared distance of positive pairs on the unit sphere, here neighbouring slices of a clip (Wang and Isola 2020)."""
    return float(np.square(first - second).sum(axis=1).mean())


def uniformity(unit: Matrix, generator: np.random.Generator) -> float:
    """log of the mean of exp(-2 d^2) over random pairs of different rows on the unit sphere (Wang and Isola 2020)."""
    first = generator.integers(0, len(unit), PAIRS)
    second = (first + generator.integers(1, len(unit), PAIRS)) % len(unit)
    parts = (slice(start, start + _PAIRS_AT_A_TIME) for start in range(0, PAIRS, _PAIRS_AT_A_TIME))
    distances = np.concatenate([np.square(unit[first[part]] - unit[second[part]]).sum(axis=1) for part in parts])
    return float(np.log(np.exp(-2.0 * distances).mean()))


def dataset_identity(
    clips: Mapping[str, NDArray[np.float32]], groups: Mapping[str, NDArray[np.object_]], seed: int
) -> float:
    """Class-mean accuracy of a linear probe that tells the corpora's clips apart, on sources it was not trained on.

    Args:
        clips: clip embeddings ``(n, D)`` by corpus, at least two corpora.
        groups: source of each clip ``(n,)``; half of a corpus's sources train, the others test.
        seed: of that division.
    """
    features = np.concatenate(list(clips.values()))
    corpus = np.repeat(np.arange(len(clips)), [len(part) for part in clips.values()])
    train = np.concatenate([_half(groups[name], numpy_stream(seed, "dataset-identity", name)) for name in clips])
    tensor = torch.from_numpy(features)
    rows = np.flatnonzero(train)
    solution = fit(tensor, [TrainingSet(rows, corpus[rows])], np.array([[0.1]]), len(clips))
    predictions = solution.classifiers.probabilities(0, tensor[~torch.from_numpy(train)]).argmax(axis=1)
    return class_mean_accuracy(corpus[~train], predictions)


def _half(groups: NDArray[np.object_], generator: np.random.Generator) -> NDArray[np.bool_]:
    names = np.unique(groups.astype(str))
    chosen = generator.permutation(names)[: max(1, len(names) // 2)]
    return np.isin(groups.astype(str), chosen)
