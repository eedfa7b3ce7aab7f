"""How often verdicts on claims are decided where there is nothing to decide, by kind of statement, noise, test and seeds.

Prints a Markdown table: percent of the draws whose verdict is other than inconclusive, with normal noise and with the
worst of four kinds. Target: 5.
"""

from __future__ import annotations

from tqdm import tqdm

from benchmark.seeding import numpy_stream
from benchmark.statistics.claims.simulation import NOISES, NULLS, Noise, null_rates
from benchmark.statistics.decisions import SeedTest

DRAWS = 10_000
SEEDS = range(3, 11)
TESTS: tuple[SeedTest, ...] = ("t", "exact")


def rate(kind: str, test: SeedTest, seeds: int, noise: Noise) -> float:
    stream = numpy_stream(0, "verdicts", kind, test, seeds, noise)
    chunk = 2_000  # the permutation test holds draws x 2 ** seeds sums
    parts = [null_rates(NULLS[kind], seeds, chunk, stream, noise, test).decided for _ in range(DRAWS // chunk)]
    return sum(parts) / len(parts)


def main() -> None:
    noises: list[Noise] = list(NOISES)
    progress = tqdm(total=len(NULLS) * len(TESTS) * len(SEEDS) * len(noises), disable=None)
    print("| statement | test | " + " | ".join(f"{seeds} seeds" for seeds in SEEDS) + " |")
    print("|" + "---|" * (2 + len(SEEDS)))
    for kind in NULLS:
        for test in TESTS:
            cells = []
            for seeds in SEEDS:
                rates = {noise: 100 * rate(kind, test, seeds, noise) for noise in noises}
                progress.update(len(noises))
                cells.append(f"{rates['normal']:.1f} / {max(rates.values()):.1f}")
            print(f"| {kind} | {test} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
