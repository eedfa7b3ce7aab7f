"""Our scores beside the numbers that papers published, where a row has the same keys. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from benchmark.statistics.rows import AccuracyRow

KEYS = ["method", "encoder", "pretrain_dataset", "variant", "task", "protocol", "train_size", "metric"]
"""What a published number and a score must share."""
_MAKER = KEYS[:4]
_SCALE = {"percent": 100.0, "fraction": 1.0}


@dataclass(frozen=True)
class PublishedMatch:
    """A published number and our interval; fractions."""

    paper: str
    table: str
    run: str
    task: str
    protocol: str
    published: float
    ours: float
    lower: float | None
    upper: float | None

    @property
    def within(self) -> bool | None:
        """Whether the published number lies in our interval; None where we have none."""
        if self.lower is None or self.upper is None:
            return None
        return self.lower <= self.published <= self.upper


def published_matches(
    summary: Sequence[AccuracyRow], scores: pd.DataFrame, published: pd.DataFrame, metrics: Mapping[str, str]
) -> list[PublishedMatch]:
    """Every published number that one of our cells was made to reproduce.

    Args:
        summary: our cells with intervals.
        scores: the score table, which knows methods and encoders of the runs.
        published: the printed numbers, with ``KEYS``, ``paper``, ``table``, ``value`` and ``unit``.
        metrics: headline metric by task, where it is not accuracy.
    """
    records = scores.drop_duplicates(["study", "run"]).to_dict("records")
    makers = {(record["study"], record["run"]): [record[key] for key in _MAKER] for record in records}
    cells = {
        (*makers[row.study, row.run], row.task, row.protocol, row.train_size, metrics.get(row.task, "accuracy")): row
        for row in summary
        if row.accuracy is not None
    }
    matches = []
    for theirs in published.to_dict("records"):
        ours = cells.get(tuple(theirs[key] for key in KEYS))
        if ours is not None and ours.accuracy is not None and theirs["unit"] in _SCALE:
            value = theirs["value"] / _SCALE[theirs["unit"]]
            found = (ours.run, ours.task, ours.protocol, value, ours.accuracy, ours.lower, ours.upper)
            matches.append(PublishedMatch(theirs["paper"], theirs["table"], *found))
    return matches
