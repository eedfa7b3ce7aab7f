"""Stratified bootstrap of the interquartile mean: 5 methods x 22 tasks x 4 replicas, 50,000 resamples each, against rliable.

Both give 95 % percentile intervals of the same scores. ``largest_deviation`` is the largest difference between their ten
bounds in standard errors of a difference of two bootstrap quantiles: up to about 3 it is Monte-Carlo error. Target: 15 times
as fast.

rliable's dependencies stop before pandas 3, so that it cannot share this project's environment; beside it, it can:

    pip install --target build/rliable rliable 'pandas<3'
    PYTHONPATH=build/rliable python -m perf.bootstrap

Where it is missing, the baseline is its loop written out, and the report says so.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata, util

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from benchmark.seeding import numpy_stream
from benchmark.statistics.bootstrap import LEVEL, percentile_interval
from benchmark.statistics.suite import interquartile_mean_replicates
from perf.measure import alternate, report

METHODS, REPLICAS, TASKS = 5, 4, 22
RESAMPLES = 50_000

Floats = NDArray[np.float64]


def by_rliable(scores: Floats) -> Floats:
    """``(M, S, T) -> (M, 2)``"""
    from rliable import library, metrics

    np.random.seed(0)  # noqa: NPY002  rliable draws from numpy's global state, whatever random_state it is given
    _, intervals = library.get_interval_estimates(
        {str(method): table for method, table in enumerate(scores)},
        lambda table: np.array([metrics.aggregate_iqm(table)]),
        reps=RESAMPLES,
    )
    return np.stack([intervals[str(method)][:, 0] for method in range(len(scores))])


def by_loop(scores: Floats) -> Floats:
    """The same in the form in which rliable and arch do it: a resample at a time."""
    generator = numpy_stream(0, "bootstrap", "loop")
    columns = np.arange(scores.shape[2])
    intervals = []
    for table in scores:
        replicates = [
            stats.trim_mean(table[generator.choice(len(table), table.shape), columns], 0.25, axis=None)
            for _ in range(RESAMPLES)
        ]
        intervals.append(np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return np.stack(intervals)


def vectorised(scores: Floats) -> Floats:
    generator = numpy_stream(0, "bootstrap", "vectorised")
    return np.array([percentile_interval(interquartile_mean_replicates(s, RESAMPLES, generator)) for s in scores])


def monte_carlo_error(scores: Floats) -> Floats:
    """``(M, 2)`` standard errors of the bounds: the spread of the bounds of independent bootstraps."""
    streams = [numpy_stream(0, "bootstrap", "error", repeat) for repeat in range(20)]
    bounds = [
        [percentile_interval(interquartile_mean_replicates(table, RESAMPLES, stream)) for table in scores]
        for stream in streams
    ]
    return np.std(bounds, axis=0, ddof=1)


def measure(baseline: Callable[[Floats], Floats]) -> dict[str, object]:
    scores = numpy_stream(0, "bootstrap", "scores").normal(0.6, 0.25, (METHODS, REPLICAS, TASKS))
    times = alternate(lambda: baseline(scores), lambda: vectorised(scores))
    theirs, ours = baseline(scores), vectorised(scores)
    return {
        **times,
        "target_ratio": 15,
        "baseline_intervals": theirs.round(5).tolist(),
        "candidate_intervals": ours.round(5).tolist(),
        "largest_deviation": float(np.max(np.abs(theirs - ours) / (np.sqrt(2) * monte_carlo_error(scores)))),
    }


def main() -> None:
    found = util.find_spec("rliable") is not None
    name = f"rliable {metadata.version('rliable')}" if found else "rliable's loop written out: rliable is not installed"
    sizes = {"methods": METHODS, "replicas": REPLICAS, "tasks": TASKS, "resamples": RESAMPLES}
    with threadpool_limits(1):
        report("bootstrap", {**sizes, "baseline": name, **measure(by_rliable if found else by_loop)})


if __name__ == "__main__":
    main()
