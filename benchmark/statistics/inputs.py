"""What the evaluation stages left, read and checked: scores, predictions and run records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow

from benchmark.artifacts import read_json
from benchmark.columns import CURVE_COLUMNS, PREDICTION_COLUMNS, SCORE_COLUMNS
from benchmark.errors import CorruptArtifactError, StaleArtifactError
from benchmark.statistics.cells import Cell, CellKey, tally
from benchmark.workspace import Workspace

_AGREEMENT = 1e-5
"""Scores and predictions state the same value up to the rounding of a score."""
_SNAPSHOT = re.compile(r"\bstep=(\d+)")


@dataclass(frozen=True)
class Evaluation:
    """One evaluated run: its scores and curves as written, its predictions reduced to cells, and its diagnostics."""

    name: str
    scores: pd.DataFrame
    cells: dict[CellKey, Cell]
    diagnostics: dict[str, Any]
    curves: pd.DataFrame


def read_evaluation(workspace: Workspace, name: str, metrics: Mapping[str, str]) -> Evaluation:
    """What the evaluation stage of run ``name`` left; ``metrics`` are the tasks' headline metrics, as in :func:`headline_rows`.

    Raises:
        StaleArtifactError: a file is missing, has other columns than this version writes, or contradicts another.
        CorruptArtifactError: a file does not parse.
    """
    folder = workspace.evaluation(name)
    scores = read_table(folder / "scores.csv", SCORE_COLUMNS)
    cells = tally(_read_predictions(folder / "predictions.parquet", scores), name)
    _require_agreement(name, headline_rows(scores, metrics), cells)
    curves = read_table(folder / "curves.csv", CURVE_COLUMNS)
    return Evaluation(name, scores, cells, read_json(folder / "diagnostics.json"), curves)


def scores_folder(workspace: Workspace) -> Path:
    """Where aggregation puts its tables, and where tables, figures and report find them."""
    return workspace.results / "scores"


def read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    """A CSV of ours with every value as text, exactly as written.

    Raises:
        StaleArtifactError: it is missing, or its columns are not ``columns``.
        CorruptArtifactError: it does not parse.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    return _checked(table, columns, path)


def snapshot_step(variant: str) -> int | None:
    """The step of a snapshot's variant (``step=100``); None for a run's final encoder."""
    match = _SNAPSHOT.search(variant)
    return int(match[1]) if match else None


def headline_rows(scores: pd.DataFrame, metrics: Mapping[str, str]) -> pd.DataFrame:
    """Rows of each task's headline metric on test clips, with ``value`` as a number (nan where it was not run).

    Args:
        scores: score rows.
        metrics: headline metric by task, where it is not accuracy.
    """
    own = scores["task"].map(lambda task: metrics.get(task, "accuracy"))
    kept = (scores["metric"] == own) & (scores["unit"] == "clip") & (scores["split"] == "test")
    rows = scores[kept].copy()
    rows["value"] = pd.to_numeric(rows["value"], errors="coerce")
    return rows


def _require_agreement(name: str, rows: pd.DataFrame, cells: dict[CellKey, Cell]) -> None:
    """The headline metric of every cell is the same by scores and by predictions."""
    final = rows[(rows["status"] == "ok") & rows["variant"].map(snapshot_step).isna()]
    levels = list(CellKey._fields)
    replicas = final.groupby([*levels, "head_seed"], as_index=False)["value"].mean()
    means = replicas.groupby(levels, as_index=False)["value"].mean()
    stated = {CellKey(*key): float(value) for *key, value in means.itertuples(index=False)}
    differing = set(stated) ^ set(cells)
    differing |= {key for key in set(stated) & set(cells) if abs(stated[key] - cells[key].accuracy) > _AGREEMENT}
    if differing:
        raise StaleArtifactError(
            f"The scores and predictions of {name} disagree on {' / '.join(min(differing))}; "
            f"run `dvc repro --force --single-item` on its evaluation."
        )


def _read_predictions(path: Path, scores: pd.DataFrame) -> pd.DataFrame:
    if not path.exists() and not (scores["status"] == "ok").any():
        return pd.DataFrame(columns=PREDICTION_COLUMNS)
    try:
        table = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (pyarrow.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    return _checked(table, PREDICTION_COLUMNS, path)


def _checked(table: pd.DataFrame, columns: list[str], path: Path) -> pd.DataFrame:
    if absent := [column for column in columns if column not in table.columns]:
        raise StaleArtifactError(f"{path} has no column {absent[0]!r}; delete it and run `dvc repro`.")
    return table[columns]


def _missing(path: Path) -> StaleArtifactError:
    return StaleArtifactError(f"{path} does not exist; run `dvc repro` so that the stage before makes it.")


def _unreadable(path: Path, error: Exception) -> CorruptArtifactError:
    reason = " ".join(str(error).split())
    return CorruptArtifactError(f"{path} is not a readable table ({reason}); delete it and run `dvc repro`.")
