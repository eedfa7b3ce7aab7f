"""How far the scores of a profile lie from those of another run of it, cell by cell, in test clips. Pure functions.

A movement is a difference of a score times the test clips that it is made of: one clip more or less is 1.0 whatever the task's
size. A cell is one run on one task under one protocol and train size by one metric, averaged over folds and head replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from benchmark.columns import size_in_words
from benchmark.statistics.tolerance import EXACT, ROUNDING

CELL = ["study", "run", "name", "variant", "task", "protocol", "train_size", "metric", "unit"]
"""What identifies a cell; pre-training seeds are left out, so that runs with other seeds can be set side by side."""
ROW = [*CELL, "head_seed", "fold"]
HASHES = {"weights_hash": "weights", "data_hash": "data", "protocol_hash": "protocol", "code_hash": "code"}
_MEAN = "mean"
_NOW = "_now"

Verdict = Literal["within", "fell", "rose", "changed"]
Limit = Callable[[str, str, str, str, int], float]
"""Test clips that a cell (name, task, protocol, metric, test clips) may move."""


@dataclass(frozen=True)
class CellChange:
    """A cell whose scores are not all equal."""

    study: str
    run: str
    name: str
    variant: str
    task: str
    protocol: str
    train_size: str
    metric: str
    unit: str
    accepted: float
    current: float
    clips: int
    """Test clips that the cell is scored on."""
    moved: float
    """In test clips; negative where the score fell."""
    tolerance: float
    """In test clips."""
    verdict: Verdict
    """``changed``: single scores differ, and their mean does not."""
    differing: tuple[str, ...]
    """Which hashes of its rows differ: weights, data, protocol, code."""
    folds: tuple[str, ...]
    """The folds that moved, where others did not."""

    @property
    def points(self) -> float:
        """The movement in hundredths of the metric."""
        return 100 * (self.current - self.accepted)

    @property
    def beyond(self) -> bool:
        """Whether it moved further than it may."""
        return self.verdict != "within"

    def __str__(self) -> str:
        size = "" if self.train_size == "full" else f" at {size_in_words(self.train_size)}"
        only = f", by fold {', '.join(self.folds)} alone" if self.folds else ""
        allowed = "every score must be equal" if self.tolerance == EXACT else f"tolerance {self.tolerance:.1f}"
        moved = f"{self.verdict} by {abs(self.moved):.1f} of {self.clips} test clips"
        where = f"{self.name} on {self.task} under {self.protocol}{size} ({self.metric}, {self.unit})"
        return f"{where} {moved} ({self.points:+.1f} points; {allowed}){only}"


def paired(accepted: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """A row for each score of single folds that either of two ``scores.csv`` (values as text) holds.

    Columns: ``ROW``; ``value``, ``n``, ``clips`` (test clips of the fold) and the hashes of the accepted side, the same
    with ``_now`` of the current one; ``side``: ``both``, ``accepted`` or ``current``.
    """
    rows = _scored(accepted).merge(_scored(current), on=ROW, how="outer", suffixes=("", _NOW), indicator="side")
    sides = {"both": "both", "left_only": "accepted", "right_only": "current"}
    return rows.assign(side=rows["side"].astype(str).map(sides))


def cell_movements(accepted: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """``CELL``, ``clips`` and ``moved``, in test clips, of every cell of whole tasks that two score tables share."""
    pairs = paired(accepted, current)
    return _cells(_shared(pairs[~of_single_classes(pairs)]))[[*CELL, "clips", "moved"]]


def of_single_classes(pairs: pd.DataFrame) -> pd.Series[bool]:
    """Which rows are of one class (variant ``fold=1;class=siren``): of few clips, and of predictions that other rows score."""
    return pairs["variant"].str.contains("class=", regex=False)


def cell_changes(pairs: pd.DataFrame, limit: Limit) -> list[CellChange]:
    """The cells of ``paired`` rows that are not equal: those furthest beyond what they may move first."""
    rows = _shared(pairs)
    cells = _cells(rows)
    moved = cells[~cells["equal"]]
    touched = rows.merge(moved[CELL], on=CELL)
    by_cell = {tuple(map(str, key)): group for key, group in touched.groupby(CELL)}
    changes = [_change(dict(cell), by_cell, limit) for cell in moved.to_dict("records")]
    return sorted(changes, key=lambda change: (not change.beyond, change.tolerance - abs(change.moved), str(change)))


def shared_cells(pairs: pd.DataFrame) -> int:
    """How many cells both sides of ``paired`` rows have."""
    return len(_shared(pairs)[CELL].drop_duplicates())


def only_on(side: Literal["accepted", "current"], pairs: pd.DataFrame) -> list[str]:
    """What one side of ``paired`` rows has alone: whole runs, tasks, protocols and metrics, then cells with their folds."""
    lost, kept = pairs[pairs["side"] == side], pairs[pairs["side"] != side]
    names: list[str] = []
    for column, word in {"name": "run", "task": "task", "protocol": "protocol", "metric": "metric"}.items():
        whole = sorted(set(lost[column]) - set(kept[column]))
        names += [f"{word} {value}" for value in whole]
        lost = lost[~lost[column].isin(whole)]
    cell = ["name", "task", "protocol", "train_size", "variant"]
    known = {tuple(key) for key in kept[cell].itertuples(index=False)}
    for key, rows in lost.groupby(cell):
        name, task, protocol, size, variant = key
        folds = f", fold {', '.join(sorted(set(rows['fold'])))}" if tuple(key) in known else ""
        names.append(f"{name} on {task} under {protocol} ({variant}, train size {size}){folds}")
    return names


def resized_folds(pairs: pd.DataFrame) -> list[str]:
    """One sentence for each fold whose test part has another size than it had."""
    rows = _shared(pairs)
    rows = rows[rows["clips"] != rows[f"clips{_NOW}"]]
    sizes = rows[["task", "fold", "clips", f"clips{_NOW}"]].drop_duplicates(["task", "fold"])
    return [
        f"The test part of fold {fold} of {task} has {now:.0f} clips, not {before:.0f}."
        for task, fold, before, now in sizes.itertuples(index=False)
    ]


def inconsistent_runs(scores: pd.DataFrame, runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of runs with a score from weights that the run's own record does not hold."""
    used = _scored(scores).groupby("name")["weights_hash"].agg(set)
    return [
        str(name) for name, hashes in used.items() if hashes - set(runs.get(str(name), {}).get("weights", {}).values())
    ]


def _scored(scores: pd.DataFrame) -> pd.DataFrame:
    rows = scores[(scores["status"] == "ok") & (scores["fold"] != _MEAN)]
    rows = rows[[*ROW, "value", "n", *HASHES]].astype({"value": float, "n": int})
    fold = ["name", "task", "fold"]
    clips = rows[rows["unit"] == "clip"].groupby(fold, as_index=False).agg(clips=("n", "max"))
    rows = rows.merge(clips, on=fold, how="left")
    return rows.assign(clips=rows["clips"].fillna(rows["n"]))


def _shared(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs[pairs["side"] == "both"]


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a cell: means of both sides, ``clips``, ``moved`` and whether every score is ``equal``."""
    rows = rows.assign(equal=rows["value"] == rows[f"value{_NOW}"])
    cells = rows.groupby(CELL, as_index=False).agg(
        accepted=("value", "mean"), current=(f"value{_NOW}", "mean"), equal=("equal", "all")
    )
    folds = rows.groupby([*CELL, "fold"], as_index=False)["clips"].max()
    cells = cells.merge(folds.groupby(CELL, as_index=False)["clips"].sum(), on=CELL)
    return cells.assign(moved=(cells["current"] - cells["accepted"]) * cells["clips"])


def _change(cell: dict[Any, Any], by_cell: Mapping[tuple[str, ...], pd.DataFrame], limit: Limit) -> CellChange:
    rows = by_cell[tuple(cell[column] for column in CELL)]
    tolerance = limit(cell["name"], cell["task"], cell["protocol"], cell["metric"], int(cell["clips"]))
    differs = (rows["value"] != rows[f"value{_NOW}"]).groupby(rows["fold"]).any()
    return CellChange(
        **{column: cell[column] for column in CELL},
        accepted=cell["accepted"],
        current=cell["current"],
        clips=int(cell["clips"]),
        moved=cell["moved"],
        tolerance=tolerance,
        verdict=_verdict(cell["moved"], tolerance),
        differing=tuple(what for column, what in HASHES.items() if (rows[column] != rows[f"{column}{_NOW}"]).any()),
        folds=() if differs.all() else tuple(str(fold) for fold in differs[differs].index),
    )


def _verdict(moved: float, tolerance: float) -> Verdict:
    if tolerance != EXACT and abs(moved) <= tolerance + ROUNDING:
        return "within"
    if abs(moved) < ROUNDING:
        return "changed"
    return "fell" if moved < 0 else "rose"
