"""A method over a suite of tasks: the statistics of Agarwal et al. (2021), "Deep RL at the Edge of the Statistical Precipice".

Letters in shapes: B resamples, S runs (pre-training seeds), T tasks, K thresholds. Scores are finite: a task on which a
cell is undefined is left out before, for all methods.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.statistics.bootstrap import Floats

_CUT = 0.25
_CHUNK = 512
"""Resamples at a time: few enough that their counts stay in the processor's cache, where two thirds of the time is saved."""


def interquartile_mean(scores: Floats) -> Floats:
    """Mean of the middle half of all scores, over runs and tasks together: ``(..., S, T) -> (...)`` (Sec. 4.3)."""
    ordered = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = _cut(ordered.shape[-1])
    means: Floats = ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)
    return means


def optimality_gap(scores: Floats, target: float = 1.0) -> Floats:
    """By how much scores fall short of ``target`` on average; none makes up for another: ``(..., S, T) -> (...)``.

    (Sec. 4.3. The target of a normalised accuracy, 1, is the Supervised reference.)
    """
    gaps: Floats = target - np.minimum(scores, target).mean(axis=(-2, -1))
    return gaps


def performance_profile(scores: Floats, thresholds: Floats) -> Floats:
    """Share of scores above each threshold: ``(..., S, T)`` and ``(K,)`` -> ``(..., K)`` (Sec. 4.2, run-score distribution)."""
    flat = scores.reshape(*scores.shape[:-2], -1)
    return np.stack([(flat > threshold).mean(axis=-1) for threshold in thresholds], axis=-1)


def probability_of_improvement(left: Floats, right: Floats) -> Floats:
    """Chance that a run of ``left`` beats one of ``right`` on the same task, a tie counting half, averaged over tasks.

    ``(..., S, T)`` and ``(..., S', T)`` -> ``(...)`` (Sec. 4.3; on each task the Mann-Whitney statistic over S S').
    """
    pairs = left[..., :, None, :] - right[..., None, :, :]
    chances: Floats = (0.5 + 0.5 * np.sign(pairs)).mean(axis=(-3, -2, -1))
    return chances


def resampled_scores(
    scores: Floats, resamples: int, generator: np.random.Generator, *, whole_runs: bool = False, tasks: bool = False
) -> Floats:
    """Bootstrap samples of a method's scores, to be handed to any of the statistics above: ``(S, T) -> (B, S, T)``.

    Args:
        scores: ``(S, T)``.
        resamples: B.
        generator: the stream that is consumed.
        whole_runs: draw a run with its scores on all tasks. Right where one pre-trained encoder was scored on all of them,
            so that a good seed is good everywhere. Otherwise the runs of each task are drawn on their own, as rliable
            does, which is right where every score was trained from scratch.
        tasks: draw tasks too, for a statement about tasks like these instead of about these tasks.
    """
    runs, width = scores.shape
    rows = generator.integers(0, runs, size=(resamples, runs, 1 if whole_runs else width))
    columns = generator.integers(0, width, size=(resamples, 1, width)) if tasks else np.arange(width)[None, None, :]
    drawn: Floats = scores[rows, columns]
    return drawn


def interquartile_mean_replicates(scores: Floats, resamples: int, generator: np.random.Generator) -> Floats:
    """Interquartile means of bootstrap samples, runs drawn on each task on their own: ``(S, T) -> (B,)``.

    The same distribution as ``interquartile_mean(resampled_scores(scores, ...))``, without sorting any resample. Scores
    are ranked once; a resample is how often each of them was drawn. Of the drawn scores up to rank i, let ``C[i]`` be
    how many there are, clipped to the middle half; then the sum over the middle half is ``sum_i x[i] (C[i] - C[i-1])``,
    and summation by parts makes that one product of ``C`` with the steps between neighbouring scores.

    Args:
        scores: ``(S, T)``, at most 255 runs.
        resamples: B.
        generator: the stream that is consumed.

    Raises:
        ValueError: there are more than 255 runs.
    """
    runs, size = scores.shape[0], scores.size
    if runs > np.iinfo(np.uint8).max:
        raise ValueError(f"{runs} runs of a task; counts are kept in bytes, which hold at most 255.")
    order = np.argsort(scores, axis=None, kind="stable")
    ranked = scores.ravel()[order]
    steps, low = np.diff(ranked), _cut(size)
    high = size - low
    parts = []
    for start in range(0, resamples, _CHUNK):
        counts = _run_counts(scores.shape, min(_CHUNK, resamples - start), generator)
        drawn = np.add.accumulate(counts[order[:-1]], axis=0, dtype=np.min_scalar_type(size))
        clipped = np.clip(drawn, low, high).astype(np.float64)
        parts.append((ranked[-1] * high - ranked[0] * low - steps @ clipped) / (high - low))
    return np.concatenate(parts)


def _run_counts(shape: tuple[int, ...], resamples: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """``(S * T, B)`` bytes: how often each score is drawn where S runs are drawn on each task."""
    runs, tasks = shape
    draws = generator.integers(0, runs, size=(runs, tasks, resamples), dtype=np.uint8)
    equal = draws[None] == np.arange(runs, dtype=np.uint8)[:, None, None, None]
    counts: NDArray[np.uint8] = np.add.reduce(equal, axis=1, dtype=np.uint8).reshape(runs * tasks, resamples)
    return counts


def _cut(size: int) -> int:
    """How many of ``size`` ordered scores lie outside the middle half on each side."""
    return int(_CUT * size)
