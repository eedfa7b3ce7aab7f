"""How soon fine-tuning gives what training from scratch ends with.

tagliasacchi2020 says in section IV, without numbers, that a pre-trained encoder takes fewer iterations. The measure is that of
``results/published/claims.yaml``: the first step that reaches 99 % of the final score from scratch on the same task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import numpy as np
import pandas as pd

from benchmark.statistics.families import StudyResults, protocol_of_reference
from benchmark.statistics.rows import ConvergenceRow, CurveRow

METRIC = "steps_to_scratch_accuracy"
"""Its name in claims."""
SHARE = 0.99
"""Of the final score from scratch."""

Cell = tuple[str, str, str, str]
Curves = Mapping[Cell, Mapping[int, Sequence[CurveRow]]]
"""By run, task, protocol and train size, then by pre-training seed: points in the order of their steps."""


def mean_curves(curves: pd.DataFrame) -> list[CurveRow]:
    """Score by step of every cell and pre-training seed: means over folds and head replicas.

    Args:
        curves: rows with ``columns.CURVE_COLUMNS``, values as text.
    """
    numbers = curves.astype({"pretrain_seed": int, "step": int, "value": float})
    point = [field.name for field in fields(CurveRow) if field.name != "value"]
    means = numbers.groupby(point)["value"].mean().reset_index()
    return [CurveRow(**{str(column): value for column, value in row.items()}) for row in means.to_dict("records")]


def convergence(results: StudyResults, curves: Sequence[CurveRow]) -> list[ConvergenceRow]:
    """Of one study, for every fine-tuned cell with a reference from scratch, and for those references themselves."""
    by_cell: dict[Cell, dict[int, list[CurveRow]]] = {}
    for row in curves:
        by_cell.setdefault(row.cell, {}).setdefault(row.pretrain_seed, []).append(row)
    return [row for cell in sorted(by_cell) for row in _of_cell(results, cell, by_cell)]


def _of_cell(results: StudyResults, cell: Cell, by_cell: Curves) -> Iterator[ConvergenceRow]:
    reference = _reference(results, cell, by_cell)
    if reference is None:
        return
    target = SHARE * float(np.mean([points[-1].value for points in by_cell[reference].values()]))
    for points in by_cell[cell].values():
        last, reached = points[-1], [point.step for point in points if point.value >= target]
        yield ConvergenceRow(
            *(last.study, *cell, last.pretrain_seed, last.metric),
            reference=reference[0],
            target=target,
            final=last.value,
            reached=bool(reached),
            steps=reached[0] if reached else last.step + 1,
        )


def _reference(results: StudyResults, cell: Cell, by_cell: Curves) -> Cell | None:
    """What is trained from scratch on the same clips."""
    run, task, protocol, size = cell
    family = results.families[run]
    reference = run if family.role == "supervised" else family.facts.supervised.get(task)
    watched = [other[2] for other in by_cell if (other[0], other[1], other[3]) == (reference, task, size)]
    own = protocol_of_reference(protocol, watched)
    return (reference, task, own, size) if reference and own else None
