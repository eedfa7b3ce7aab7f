"""A measurement that accompanies training: kept with its predictions, and the choice of the encoder that is exported.

What is measured is handed in: evaluation, which knows how, lies above pre-training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.jobs import ProbeJob
from benchmark.pretraining.checkpoint import History
from benchmark.pretraining.method import Method

NAME = "probe_score"
"""The measurement's name in the curves."""

Predictions = NDArray[np.int64]
Measure = Callable[[Method], tuple[float, Predictions]]
"""From a method in evaluation mode to a score (the higher the better) and the predictions ``(n,)`` behind it."""


@dataclass
class Probing:
    """Measures at regular steps (a :class:`.loop.Probe`).

    Args:
        job: how often, how many measurements the score averages, and whether to select.
        measure: see :data:`Measure`.
        every: steps between measurements.
        history: of the run, filled in place by the loop; tells after a kill what was the best before.
        keep_predictions: called for those of the last measurements.
        keep_best: called where a measurement is above all before it (the first of equals is kept).
    """

    job: ProbeJob
    measure: Measure
    every: int
    history: History
    keep_predictions: Callable[[int, Predictions], None]
    keep_best: Callable[[int, Method], None]

    def due(self, step: int, steps: int) -> bool:
        """Every so many steps, and after the last."""
        return step in self.steps(steps)

    def steps(self, steps: int) -> range | tuple[int, ...]:
        """All steps of a run of ``steps`` steps after which it measures, rising."""
        regular = range(self.every, steps + 1, self.every)
        return regular if regular and regular[-1] == steps else (*regular, steps)

    def last(self, steps: int) -> tuple[int, ...]:
        """Those whose measurements the score averages."""
        return tuple(self.steps(steps)[-self.job.last :])

    def __call__(self, step: int, method: Method) -> dict[str, float]:
        """Measure; see :class:`.loop.Probe`."""
        score, predictions = self.measure(method)
        self.keep_predictions(step, predictions)
        if self.job.select and score > best(self.history)[1]:
            self.keep_best(step, method)
        return {NAME: score}


def best(history: History) -> tuple[int, float]:
    """Step and score of the first best measurement; minus infinity where there is none."""
    measured = [(int(entry["step"]), entry[NAME]) for entry in history if NAME in entry]
    return max(measured, key=lambda pair: pair[1], default=(0, -np.inf))
