from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.statistics.claims.scores import IDENTITY, NotEvaluableError, ScoreTable
from tests.statistics.claims.toys import CELL, table


def rows(*changes: dict) -> pd.DataFrame:
    return pd.DataFrame([{**CELL, "seed": "0", **change} for change in changes])


def test_rows_of_a_cell_and_seed_are_averaged():
    scores = ScoreTable.from_rows(
        rows(
            {"value": 0.1, "seed": "0"},
            {"value": 0.3, "seed": "0"},
            {"value": 0.5, "seed": "1"},
            {"value": 0.9, "seed": "1", "task": "t2"},
        ),
        "seed",
    )
    assert scores.axis == ("0", "1")
    by_task = dict(zip(scores.cells["task"], scores.values.tolist(), strict=True))
    assert by_task["t1"] == pytest.approx([0.2, 0.5])
    assert by_task["t2"] == pytest.approx([np.nan, 0.9], nan_ok=True)


def test_selection_equals_a_filter_of_the_frame():
    stream = np.random.default_rng(0)
    levels = {column: [f"{column}{index}" for index in range(3)] for column in IDENTITY}
    scores = table([{**{c: str(stream.choice(v)) for c, v in levels.items()}, "value": 0.5} for _ in range(400)])
    found = 0
    for _ in range(100):
        columns = stream.choice(IDENTITY, 3, replace=False)
        where = {str(column): str(stream.choice(levels[column])) for column in columns}
        keep = np.logical_and.reduce([scores.cells[column] == value for column, value in where.items()])
        if keep.any():
            found += 1
            assert scores.select(where).tolist() == np.flatnonzero(keep).tolist()
        else:
            with pytest.raises(NotEvaluableError):
                scores.select(where)
    assert found > 50


def test_the_reason_of_a_score_that_was_not_run_is_quoted():
    missing = pd.DataFrame([{**CELL, "task": "t2", "reason": "speech is not there"}])[[*IDENTITY, "reason"]]
    with pytest.raises(NotEvaluableError, match="speech is not there"):
        table([{"value": 0.5}], missing=missing).select({"task": "t2", "method": "ours"})


def test_a_group_of_tasks_is_the_mean_over_all_of_them():
    groups = {"average": ("t1", "t2"), "other": ("t1", "t3")}
    cells = [{"task": "t1", "value": [0.2, 0.4]}, {"task": "t2", "value": [0.4, np.nan]}]
    scores = table([*cells, *({**cell, "method": "b", "value": [0.1, 0.1]} for cell in cells[:1])]).with_groups(groups)
    (found,) = scores.select({"task": "average"})
    assert scores.cells["method"][found] == "ours"
    assert scores.values[found] == pytest.approx([0.3, np.nan], nan_ok=True)
    with pytest.raises(NotEvaluableError, match="not all 2 tasks"):
        scores.select({"task": "other"})
