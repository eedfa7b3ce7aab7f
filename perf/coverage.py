"""How often nominal 95 % intervals hold the true value, by number of tasks and of pre-training seeds: a simulation.

    python -m perf.coverage

writes ``perf/results/coverage.csv`` and prints the tables of docs/statistics.md. Every number is a share of 1,000 simulated
studies: right to about 0.015. Scores are normal around the truth unless a row says skewed; a source recording, a seed on all
tasks and a seed on one task each have an effect of their own, of the sizes below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmark.artifacts import write_text
from benchmark.seeding import numpy_stream
from benchmark.statistics.bootstrap import (
    mean_replicates,
    nested_replicates,
    percentile_interval,
    task_replicates,
    unit_shares,
)
from benchmark.statistics.intervals import bca_interval, leave_one_out, t_interval
from benchmark.statistics.normalised import NormalisedAccuracy
from benchmark.statistics.ranks import rank_intervals
from benchmark.statistics.suite import (
    interquartile_mean,
    optimality_gap,
    probability_of_improvement,
    resampled_scores,
)

RESULTS = Path(__file__).parent / "results" / "coverage.csv"
TRIALS, RESAMPLES = 1000, 500
TASKS, SEEDS = (4, 8, 22), (3, 5, 10)
SOURCES = 60
TASK, SEED, SEED_ON_TASK, SOURCE, CLIP = 0.15, 0.02, 0.02, 0.2, 0.3
"""Standard deviations between tasks, seeds, seeds on one task, sources, and of what is left on a source by seed."""

SIZES = {"tasks": "Int64", "seeds": "Int64"}

Floats = NDArray[np.float64]
Trial = Callable[[np.random.Generator], dict[str, float]]
"""One simulated study: for each interval 1 if it held the truth, else 0 (or the share of several)."""


@dataclass(frozen=True)
class Population:
    """Values of tasks, with their true mean and the mean of the middle half of all of them."""

    name: str
    draw: Callable[[np.random.Generator, int], Floats]
    mean: float
    middle: float


NORMAL = Population("", lambda generator, size: generator.normal(size=size), 0.0, 0.0)
SKEWED = Population(
    ", skewed",
    lambda generator, size: generator.exponential(size=size),
    1.0,
    2 * (0.75 * (1 - np.log(0.75)) - 0.25 * (1 - np.log(0.25))),  # of x exp(-x) between the quartiles
)


@dataclass(frozen=True)
class Simulation:
    """A kind of study at one size; None where a size plays no part."""

    trial: Trial
    tasks: int | None = None
    seeds: int | None = None


def simulations() -> list[Simulation]:
    return [
        *(Simulation(partial(over_tasks, population, n), tasks=n) for population in (NORMAL, SKEWED) for n in TASKS),
        *(Simulation(partial(one_cell, n), seeds=n) for n in SEEDS),
        *(Simulation(partial(several_tasks, t, s), t, s) for t, s in product(TASKS, SEEDS)),
        *(Simulation(partial(whole_suite, t, s), t, s) for t, s in product(TASKS, SEEDS)),
    ]


def over_tasks(population: Population, tasks: int, generator: np.random.Generator) -> dict[str, float]:
    """One value a task, for a statement about tasks like these."""
    values = population.draw(generator, tasks)
    left_out = leave_one_out(values)
    means = mean_replicates(values, RESAMPLES, generator)
    middles = interquartile_mean(resampled_scores(values[:, None], RESAMPLES, generator))
    middle, middle_left_out = float(interquartile_mean(values[:, None])), interquartile_mean(left_out[..., None])
    mean, centre = population.mean, population.middle
    return {
        f"mean, percentile{population.name}": held(percentile_interval(means), mean),
        f"mean, BCa{population.name}": held(bca_interval(means, values.mean(), left_out.mean(axis=1)), mean),
        f"mean, Student's t{population.name}": held(t_interval(values), mean),
        f"interquartile mean, percentile{population.name}": held(percentile_interval(middles), centre),
        f"interquartile mean, BCa{population.name}": held(bca_interval(middles, middle, middle_left_out), centre),
    }


def one_cell(seeds: int, generator: np.random.Generator) -> dict[str, float]:
    """Run, Untrained and Supervised on one task: accuracies .6, .4 and .8 on the same sources."""
    sources = generator.normal(0, SOURCE, SOURCES)
    hits = [simulated_hits(truth, seeds, sources, generator) for truth in (0.6, 0.4, 0.8)]
    draws = nested_replicates(hits, np.full(SOURCES, 1 / SOURCES), RESAMPLES, generator)
    run, untrained, supervised = (float(h.sum(axis=2).mean()) for h in hits)
    by_seed = generator.normal(0, SEED, seeds)
    return {
        "accuracy, seeds x sources": held(percentile_interval(draws[:, 0]), 0.6),
        "difference to Untrained, seeds x sources": held(percentile_interval(draws[:, 0] - draws[:, 1]), 0.2),
        "normalised accuracy, seeds x sources": held(
            NormalisedAccuracy(run, untrained, supervised, draws).interval, 0.5
        ),
        "mean over seeds alone, percentile": held(
            percentile_interval(mean_replicates(by_seed, RESAMPLES, generator)), 0.0
        ),
        "mean over seeds alone, Student's t": held(t_interval(by_seed), 0.0),
    }


def several_tasks(tasks: int, seeds: int, generator: np.random.Generator) -> dict[str, float]:
    """The mean accuracy of one method over tasks, of which each seed is one encoder."""
    truths, by_seed = generator.normal(0.6, TASK, tasks), generator.normal(0, SEED, seeds)
    mass = np.full(SOURCES, 1 / SOURCES)
    shares = [unit_shares(seeds, RESAMPLES, generator)]
    together, apart = [], []
    for truth in truths:
        hits = [simulated_hits(truth, seeds, generator.normal(0, SOURCE, SOURCES), generator, by_seed)]
        together.append(nested_replicates(hits, mass, RESAMPLES, generator, seed_shares=shares)[:, 0])
        apart.append(nested_replicates(hits, mass, RESAMPLES, generator)[:, 0])
    replicates = np.stack(together, axis=1)
    return {
        "fixed tasks: mean, seeds x sources": held(percentile_interval(replicates.mean(axis=1)), truths.mean()),
        "the same, seeds drawn on each task anew (wrong)": held(
            percentile_interval(np.mean(apart, axis=0)), truths.mean()
        ),
        "tasks like these: mean, tasks x seeds x sources": held(
            percentile_interval(task_replicates(replicates, RESAMPLES, generator)), 0.6
        ),
    }


def whole_suite(tasks: int, seeds: int, generator: np.random.Generator) -> dict[str, float]:
    """Five methods on a fixed set of tasks, a point apart and with seeds of their own on each task, as rliable assumes."""
    centres = generator.normal(0.6, TASK, tasks)[None, :] + 0.01 * np.arange(5)[:, None]
    scores = centres[:, None, :] + generator.normal(0, 2 * SEED, (5, seeds, tasks))
    draws = np.stack([resampled_scores(method, RESAMPLES, generator) for method in scores])
    many = centres[0] + generator.normal(0, 2 * SEED, (2000, tasks))
    chance = special.ndtr(0.04 / (2 * SEED * np.sqrt(2)))
    ranks = rank_intervals(draws.mean(axis=(2, 3)).T)
    right = np.arange(5, 0, -1)
    return {
        "fixed tasks: interquartile mean, runs": held(
            percentile_interval(interquartile_mean(draws[0])), float(interquartile_mean(many))
        ),
        "fixed tasks: optimality gap, runs": held(
            percentile_interval(optimality_gap(draws[0])), float(optimality_gap(many))
        ),
        "fixed tasks: probability of improvement, runs": held(
            percentile_interval(probability_of_improvement(draws[4], draws[0])), chance
        ),
        "fixed tasks: ranks of five methods a point apart, runs": float(
            np.mean((ranks[:, 0] <= right) & (right <= ranks[:, 1]))
        ),
    }


def simulated_hits(
    truth: float, seeds: int, sources: Floats, generator: np.random.Generator, by_seed: Floats | None = None
) -> Floats:
    """``(S, 1, G)`` weights of the correctly classified clips of equally large sources."""
    common = generator.normal(0, SEED, seeds) if by_seed is None else by_seed
    seed_effects = common + generator.normal(0, SEED_ON_TASK, seeds)
    rest = generator.normal(0, CLIP, (seeds, 1, len(sources)))
    return (truth + seed_effects[:, None, None] + sources + rest) / len(sources)


def held(interval: tuple[float, float] | tuple[Floats, Floats], truth: float) -> float:
    return float(interval[0] <= truth <= interval[1])


def measured() -> pd.DataFrame:
    """One row an interval and size, with its coverage."""
    rows = []
    todo = simulations()
    with tqdm(total=len(todo) * TRIALS, unit="study", disable=None) as progress:
        for index, simulation in enumerate(todo):
            sizes = {"tasks": simulation.tasks, "seeds": simulation.seeds}
            generator, outcomes = numpy_stream(0, "coverage", index), []
            for _ in range(TRIALS):
                outcomes.append(simulation.trial(generator))
                progress.update()
            means = pd.DataFrame(outcomes).mean()
            rows += [{"interval": name, **sizes, "coverage": value, "studies": TRIALS} for name, value in means.items()]
    return pd.DataFrame(rows).round({"coverage": 3}).astype(SIZES)


def tables(rows: pd.DataFrame) -> str:
    """Markdown, a table for each kind of size."""
    kinds = {
        "tasks": rows[rows["seeds"].isna()],
        "seeds": rows[rows["tasks"].isna()],
        "tasks x seeds": rows[rows["tasks"].notna() & rows["seeds"].notna()],
    }
    return "\n\n".join(_table(kind, kept) for kind, kept in kinds.items())


def _table(kind: str, rows: pd.DataFrame) -> str:
    sizes = [" x ".join(str(row[name]) for name in kind.split(" x ")) for _, row in rows.iterrows()]
    columns = list(dict.fromkeys(sizes))
    by_interval: dict[str, dict[str, str]] = {}
    for name, size, coverage in zip(rows["interval"], sizes, rows["coverage"], strict=True):
        by_interval.setdefault(name, {})[size] = f"{100 * coverage:.0f}"
    lines = [["interval", *(f"{column} {kind}" if column == columns[0] else column for column in columns)]]
    lines += [["---"] * (len(columns) + 1)]
    lines += [[name, *(cells[column] for column in columns)] for name, cells in by_interval.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    with threadpool_limits(1):
        rows = measured()
    write_text(RESULTS, rows.to_csv(index=False, lineterminator="\n"))
    print(tables(rows))


if __name__ == "__main__":
    main()
