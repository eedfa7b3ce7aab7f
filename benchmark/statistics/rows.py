"""What a row of each result file holds; the order of the fields is the order of the columns. None is an empty cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from benchmark.artifacts import write_text
from benchmark.statistics.inputs import read_table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = TypeVar("Row", bound="DataclassInstance")
DECIMALS = 6
"""More than any interval deserves, and few enough to hide the order in which a machine adds."""


@dataclass(frozen=True)
class CellRow:
    """A run family on one task under one protocol and train size."""

    study: str
    run: str
    title: str
    role: str
    data: str
    task: str
    protocol: str
    train_size: str
    status: str
    """``ok``, ``not run`` or, for a normalised accuracy, ``undefined``."""
    reason: str
    transductive: bool
    saturated: bool

    @property
    def cell(self) -> tuple[str, str, str, str]:
        """Run, task, protocol and train size."""
        return self.run, self.task, self.protocol, self.train_size


@dataclass(frozen=True)
class AccuracyRow(CellRow):
    """A row of ``summary.csv``: mean over seeds of the fold-mean accuracy, and its 95 % interval."""

    accuracy: float | None = None
    lower: float | None = None
    upper: float | None = None
    resampled: str = ""
    """What the interval varies: of seeds, replicas and sources, those of which there is more than one."""
    seeds: int | None = None
    replicas: int | None = None
    clips: int | None = None
    sources: int | None = None
    by_seed: str = ""
    """The accuracy of each seed, separated by spaces."""
    minimum_detectable_difference: float | None = None
    """Of the paired comparison with Untrained."""


@dataclass(frozen=True)
class ComparisonRow(CellRow):
    """A row of ``comparisons.csv``: a run minus its Untrained reference on the same clips."""

    reference: str = ""
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    p: float | None = None
    p_holm: float | None = None
    """Adjusted over all comparisons of the study."""
    sources: int | None = None
    standard_error: float | None = None
    """Clustered by source."""
    minimum_detectable_difference: float | None = None


@dataclass(frozen=True)
class NormalisedRow(CellRow):
    """A row of ``normalised.csv``: tagliasacchi2020 eq. (1), with the raw accuracies it is made of."""

    untrained_run: str = ""
    supervised_run: str = ""
    supervised_protocol: str = ""
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    accuracy: float | None = None
    untrained: float | None = None
    supervised: float | None = None
    gap: float | None = None
    gap_lower: float | None = None
    gap_upper: float | None = None
    untrained_protocol: str = ""


@dataclass(frozen=True)
class NormalisedMeanRow:
    """A row of ``normalised_means.csv``: the mean over the tasks where the value is defined."""

    study: str
    run: str
    title: str
    protocol: str
    train_size: str
    tasks: int
    undefined: int
    """Tasks that are left out."""
    mean: float | None = None
    lower: float | None = None
    upper: float | None = None
    shown: str = ""
    """Which of the intervals below ``lower`` and ``upper`` are."""
    ratio_of_mean_gains: float | None = None
    fixed_tasks_lower: float | None = None
    fixed_tasks_upper: float | None = None
    over_tasks_lower: float | None = None
    over_tasks_upper: float | None = None
    paper_lower: float | None = None
    paper_upper: float | None = None
    coverage: float | None = None
    """What ``over_tasks`` really covers of its nominal 95 % at this number of tasks."""


@dataclass(frozen=True)
class SnapshotRow:
    """A row of ``steps.csv``: the accuracy of a run's encoder after some steps of pre-training."""

    study: str
    run: str
    name: str
    task: str
    protocol: str
    train_size: str
    step: int
    accuracy: float

    @property
    def cell(self) -> tuple[str, str, str, str]:
        """Run, task, protocol and train size."""
        return self.run, self.task, self.protocol, self.train_size


@dataclass(frozen=True)
class TunedRow:
    """A run's fine-tuning on one task under one protocol and train size, from one pre-training seed."""

    study: str
    run: str
    task: str
    protocol: str
    train_size: str
    pretrain_seed: int
    metric: str

    @property
    def cell(self) -> tuple[str, str, str, str]:
        """Run, task, protocol and train size."""
        return self.run, self.task, self.protocol, self.train_size


@dataclass(frozen=True)
class CurveRow(TunedRow):
    """A row of ``curves.csv``: what the task's test clips score after some steps."""

    step: int
    value: float


@dataclass(frozen=True)
class ConvergenceRow(TunedRow):
    """A row of ``convergence.csv``: how soon fine-tuning reaches what training from scratch ends with."""

    reference: str
    """The run that is trained from scratch."""
    target: float
    final: float
    """After the last step."""
    reached: bool
    steps: int
    """The first step, of those that were watched, with at least ``target``; where there is none, one more than were trained."""


_PARSERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "bool": lambda text: text == "True",
    "int": int,
    "int | None": lambda text: int(text) if text else None,
    "float | None": lambda text: float(text) if text else None,
    "float": float,
}
"""How a column's text becomes the value of a field, by the field's annotation."""


def rounded(value: Any) -> Any:
    """A number as it is written: six decimals, None for nan; anything else unchanged."""
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, DECIMALS)
    return value


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """The rows that :func:`write_rows` wrote.

    Raises:
        StaleArtifactError: the file is missing or has other columns.
        CorruptArtifactError: it does not parse.
    """
    names = [field.name for field in fields(kind)]
    table = read_table(path, names)
    parsers = [_PARSERS[str(field.type)] for field in fields(kind)]
    return [
        kind(*(parse(text) for parse, text in zip(parsers, row, strict=True))) for row in table.itertuples(index=False)
    ]


def write_rows(path: Path, kind: type[Row], rows: Sequence[Row]) -> None:
    """Write rows of the dataclass ``kind`` as a CSV."""
    cells = [[rounded(value) for value in asdict(row).values()] for row in rows]
    table = pd.DataFrame(cells, columns=[field.name for field in fields(kind)], dtype=object)
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
