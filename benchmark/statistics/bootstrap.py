"""Percentile bootstraps, vectorised: resampling is a matrix of counts, an estimate is a matrix product.

Letters in shapes: B resamples, S pre-training seeds, R head replicas, G groups (source recordings), T tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

LEVEL = 0.95
_CHUNK_ENTRIES = 4_000_000
"""Largest number of entries of a counts matrix held at once (32 MB)."""


def resample_counts(units: int, resamples: int, generator: np.random.Generator, draws: int | None = None) -> Counts:
    """How often each unit is drawn: ``(B, units)``, each row summing to ``draws`` (default: ``units``)."""
    size = units if draws is None else draws
    picks = generator.integers(0, units, size=(resamples, size))
    offsets = np.arange(resamples)[:, None] * units
    return np.bincount((picks + offsets).ravel(), minlength=resamples * units).reshape(resamples, units)


def percentile_interval(replicates: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Lower and upper percentile bounds of replicates ``(B,)``."""
    lower, upper = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)


def mean_replicates(values: Floats, resamples: int, generator: np.random.Generator) -> Floats:
    """Bootstrap means of independent units ``(units,)`` -> ``(B,)``."""
    return resample_counts(len(values), resamples, generator) @ values / len(values)


def grouped_replicates(
    hits: Floats, mass: Floats, resamples: int, generator: np.random.Generator, chunk_entries: int = _CHUNK_ENTRIES
) -> Floats:
    """Cluster bootstrap of an accuracy: whole groups are drawn, the estimate is a ratio of sums.

    Args:
        hits: ``(G,)`` weight of the correctly classified clips of each group.
        mass: ``(G,)`` weight of all its clips.
        resamples: B.
        generator: the stream that is consumed.
        chunk_entries: bound on the counts held in memory; changes the result by no more than rounding.

    Returns:
        ``(B,)`` accuracies.
    """
    chunks = _group_counts(len(mass), resamples, generator, draws=None, chunk_entries=chunk_entries)
    return np.concatenate([(counts @ hits) / (counts @ mass) for counts in chunks])


def nested_replicates(
    hits: Sequence[Floats],
    mass: Floats,
    resamples: int,
    generator: np.random.Generator,
    chunk_entries: int = _CHUNK_ENTRIES,
    seed_shares: Sequence[Floats] | None = None,
) -> Floats:
    """Bootstrap over pre-training seeds, head replicas and source groups of several runs scored on the same clips.

    Seeds are drawn for each run on its own. Groups are drawn jointly, because all runs see the same clips, and so are
    replicas between runs that have equally many, because replica r is the same training subset for every run.

    Each level draws one unit fewer than it has (where it has more than one): with n of n draws the bootstrap variance
    of a mean is too small by (n - 1) / n, a third at three seeds (McCarthy and Snowden 1985; Rao and Wu 1988).

    Args:
        hits: for each run ``(S, R, G)``: weight of the correctly classified clips by seed, replica and group.
        mass: ``(G,)`` weight of all clips of a group, the same for all runs.
        resamples: B.
        generator: the stream that is consumed.
        chunk_entries: bound on the counts held in memory; changes the result by no more than rounding.
        seed_shares: for each run the ``(B, S)`` of :func:`unit_shares`, where its seeds are drawn once for several tasks.

    Returns:
        ``(B, runs)`` accuracies.
    """
    replicas = {count: unit_shares(count, resamples, generator) for count in sorted({h.shape[1] for h in hits})}
    seeds = seed_shares or [unit_shares(h.shape[0], resamples, generator) for h in hits]
    weights = [
        (share[:, :, None] * replicas[h.shape[1]][:, None, :]).reshape(resamples, -1)
        for share, h in zip(seeds, hits, strict=True)
    ]
    tables = [h.reshape(-1, h.shape[2]).T for h in hits]
    parts, start = [], 0
    for counts in _group_counts(len(mass), resamples, generator, _draws(len(mass)), chunk_entries):
        rows = slice(start, start + len(counts))
        sums = [((counts @ table) * weight[rows]).sum(axis=1) for table, weight in zip(tables, weights, strict=True)]
        parts.append(np.stack(sums, axis=1) / (counts @ mass)[:, None])
        start += len(counts)
    return np.concatenate(parts)


def task_replicates(values: Floats, resamples: int, generator: np.random.Generator) -> Floats:
    """Bootstrap of a mean over tasks (tagliasacchi2020, Sec. IV, with 50 resamples).

    Args:
        values: ``(T,)`` one value a task, or ``(B', T)`` replicates of them, of which resample b takes row b mod B':
            so what varies inside a task (seeds, sources, references) is resampled together with the tasks.
        resamples: B.
        generator: the stream that is consumed.

    Returns:
        ``(B,)`` means over resampled tasks.
    """
    table = np.atleast_2d(values)
    rows = table[np.arange(resamples) % len(table)]
    counts = resample_counts(table.shape[1], resamples, generator)
    means: Floats = (rows * counts).sum(axis=1) / table.shape[1]
    return means


def expected_coverage(units: int) -> float:
    """What a nominal 95 % percentile bootstrap of a mean over ``units`` normal units really covers.

    An approximation, right to two or three hundredths: the bootstrap spread is sqrt((n - 1) / n) of the standard error
    and its shape is normal rather than Student's t. 0.81 at 4 units, 0.89 at 8, 0.93 at 22.
    """
    if units < 2:
        return 0.0
    reach = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt((units - 1) / units)
    return float(2 * stats.t.cdf(reach, df=units - 1) - 1)


def _draws(units: int) -> int:
    return max(units - 1, 1)


def unit_shares(units: int, resamples: int, generator: np.random.Generator) -> Floats:
    """``(B, units)`` weights that sum to one: of units minus one draws, for the reason that nested_replicates gives."""
    return resample_counts(units, resamples, generator, _draws(units)) / _draws(units)


def _group_counts(
    groups: int, resamples: int, generator: np.random.Generator, draws: int | None, chunk_entries: int
) -> Iterator[Counts]:
    rows = max(chunk_entries // max(groups, 1), 1)
    for start in range(0, resamples, rows):
        yield resample_counts(groups, min(rows, resamples - start), generator, draws)
