"""Our own scores by the key of a published number, so that the two can stand side by side.

A score is a paper's cell where study, method, encoder, pre-training data, variant, task, protocol, train size and metric are the
same; anything else is another measurement and is not shown as ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.artifacts import read_json
from benchmark.columns import SCORE_COLUMNS
from benchmark.published.results import PublishedResult
from benchmark.reporting.results import BANNER
from benchmark.statistics.inputs import read_table
from benchmark.statistics.published_ids import as_published, read_published_ids
from benchmark.statistics.rows import AccuracyRow, NormalisedMeanRow, NormalisedRow, read_rows

KEY = ["study", "method", "encoder", "pretrain_dataset", "variant", "task", "protocol", "train_size", "metric"]
_RUN = ["study", "run"]
_HEADLINE = "accuracy"
"""The metric of ``summary.csv``, whose rows have intervals."""
_NORMALISED = "normalized_accuracy"
_UNDEFINED = "undefined on"


@dataclass(frozen=True)
class OwnScore:
    """Our mean over pre-training seeds, a fraction unless the metric has no unit; or why there is none."""

    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    seeds: int | None = None
    reason: str = ""

    @property
    def absent(self) -> str:
        """What a cell without a value says: a normalised accuracy may have been run and have no defined value."""
        return "undefined" if self.reason.startswith(_UNDEFINED) else "not run"


class OwnScores:
    """The scores of one profile."""

    def __init__(self, scores: pd.DataFrame, banner: str = "") -> None:
        """Take one row a run and cell, with the columns of :data:`KEY`, ``run`` and those of :class:`OwnScore`."""
        self.banner = banner
        self._index = dict(iter(scores.groupby(KEY, sort=False)))
        self._keys = scores[KEY].drop_duplicates()

    def has(self, study: str) -> bool:
        """Whether the profile asked for anything of a study."""
        return bool((self._keys["study"] == study).any())

    def find(self, result: PublishedResult) -> OwnScore:
        """Our score of a published number, or the reason why there is none."""
        if result.ours_or_prior == "prior":
            return OwnScore(reason=f"another system's number, which {result.paper} quotes and did not measure")
        key = (result.paper, *(str(getattr(result, column)) for column in KEY[1:]))
        rows = self._index.get(key)
        if rows is None:
            return OwnScore(reason=self._absent(key))
        if len(rows) > 1:
            return OwnScore(reason=f"several runs are this cell: {', '.join(sorted(rows['run']))}")
        row = rows.iloc[0]
        value, lower, upper = (None if pd.isna(row[name]) else float(row[name]) for name in ("value", "lower", "upper"))
        return OwnScore(value, lower, upper, None if pd.isna(row["seeds"]) else int(row["seeds"]), str(row["reason"]))

    def _absent(self, key: tuple[str, ...]) -> str:
        """The first part of the key with which nothing was asked for."""
        left = self._keys
        for column, value in zip(KEY, key, strict=True):
            left = left[left[column] == value]
            if left.empty:
                return f"no run of study {value}" if column == "study" else f"no score with {column} {value}"
        raise AssertionError("the key is in the index")  # pragma: no cover


def read_own_scores(folder: Path, task_groups: Mapping[str, tuple[str, ...]]) -> OwnScores:
    """The scores that aggregation left in ``folder``.

    ``summary.csv`` gives accuracies with intervals, ``normalised_means.csv`` normalised accuracies over a group of tasks; every
    other metric, and the mean of a metric over a group of tasks, comes from ``scores.csv`` without an interval.

    Raises:
        StaleArtifactError: a file is missing or of another version.
        CorruptArtifactError: a file does not parse.
    """
    scores = read_table(folder / "scores.csv", SCORE_COLUMNS)
    facts = scores[[*_RUN, "method", "encoder", "pretrain_dataset", "variant"]].drop_duplicates()
    final = facts[~facts["variant"].str.contains(r"\bstep=\d")]
    with_intervals = pd.concat(
        [
            _summary(read_rows(folder / "summary.csv", AccuracyRow)),
            _normalised(
                read_rows(folder / "normalised_means.csv", NormalisedMeanRow),
                read_rows(folder / "normalised.csv", NormalisedRow),
                task_groups,
            ),
        ]
    ).merge(final, on=_RUN)
    plain = _plain(scores)
    rows = pd.concat([with_intervals, plain, _group_means(plain, task_groups)]).drop_duplicates([*KEY, "run"])
    standin = bool(read_json(folder / "findings.json")["standin"])
    return OwnScores(as_published(rows, read_published_ids(folder)), BANNER if standin else "")


def _summary(rows: list[AccuracyRow]) -> pd.DataFrame:
    cells = [
        (
            row.study,
            row.run,
            row.task,
            row.protocol,
            row.train_size,
            _HEADLINE,
            row.accuracy,
            row.lower,
            row.upper,
            row.seeds,
            row.reason,
        )
        for row in rows
    ]
    return pd.DataFrame(cells, columns=_columns())


def _normalised(
    means: list[NormalisedMeanRow], rows: list[NormalisedRow], task_groups: Mapping[str, tuple[str, ...]]
) -> pd.DataFrame:
    """Means over exactly the tasks of a group; undefined cells are counted in the reason."""
    tasks: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        tasks.setdefault((row.study, row.run, row.protocol, row.train_size), set()).add(row.task)
    cells = [
        (
            mean.study,
            mean.run,
            group,
            mean.protocol,
            mean.train_size,
            _NORMALISED,
            mean.mean,
            mean.lower,
            mean.upper,
            None,
            _undefined(mean),
        )
        for mean in means
        for group, members in task_groups.items()
        if tasks.get((mean.study, mean.run, mean.protocol, mean.train_size)) == set(members)
    ]
    return pd.DataFrame(cells, columns=_columns())


def _undefined(mean: NormalisedMeanRow) -> str:
    return (
        f"{_UNDEFINED} {mean.undefined} of {mean.tasks + mean.undefined} tasks, which are left out"
        if mean.undefined
        else ""
    )


def _columns() -> list[str]:
    return [*_RUN, "task", "protocol", "train_size", "metric", "value", "lower", "upper", "seeds", "reason"]


def _plain(scores: pd.DataFrame) -> pd.DataFrame:
    """Means of test-clip scores over folds and head replicas, then over seeds; cells without a score keep their reason."""
    rows = scores[(scores["split"] == "test") & (scores["unit"] == "clip")]
    rows = rows.assign(value=pd.to_numeric(rows["value"], errors="coerce"))
    cell = [*KEY, "run"]
    seeds = rows.groupby([*cell, "pretrain_seed"], sort=False).agg(value=("value", "mean"), reason=("reason", "first"))
    means = seeds.groupby(cell, sort=False).agg(
        value=("value", "mean"), seeds=("value", "count"), reason=("reason", "first")
    )
    return means.reset_index().assign(lower=None, upper=None)


def _group_means(rows: pd.DataFrame, task_groups: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """Means over each group of tasks, wherever a run has a score on all of them."""
    return pd.concat(
        [pd.DataFrame(columns=rows.columns), *(_group_mean(rows, *group) for group in task_groups.items())]
    )


def _group_mean(rows: pd.DataFrame, name: str, tasks: tuple[str, ...]) -> pd.DataFrame:
    others = [column for column in [*KEY, "run"] if column != "task"]
    groups = rows[rows["task"].isin(tasks) & rows["value"].notna()].groupby(others, sort=False)
    means = groups.agg(value=("value", "mean"), seeds=("seeds", "min"), tasks=("task", "nunique")).reset_index()
    complete = means[means["tasks"] == len(tasks)]
    return complete.drop(columns="tasks").assign(task=name, reason="", lower=None, upper=None)
