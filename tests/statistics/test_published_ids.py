"""Ids of published results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.artifacts import write_json
from benchmark.statistics.published_ids import FILE, as_published, read_published_ids


def test_a_studys_ids_are_replaced_in_its_rows_alone(tmp_path: Path):
    write_json(tmp_path / FILE, {"s": {"encoder": {"cnn": "cnn6"}, "train_size": {"1000": "1k"}}, "t": {}})
    rows = pd.DataFrame(
        {
            "study": ["s", "s", "t"],
            "method": ["m", "cnn", "m"],
            "encoder": ["cnn", "other", "cnn"],
            "train_size": ["1000", "full", "1000"],
        }
    )
    named = as_published(rows, read_published_ids(tmp_path))
    assert named["encoder"].tolist() == ["cnn6", "other", "cnn"]
    assert named["train_size"].tolist() == ["1k", "full", "1000"]
    assert named["method"].tolist() == ["m", "cnn", "m"]
    assert rows["encoder"].tolist() == ["cnn", "other", "cnn"]


def test_results_of_an_earlier_version_keep_their_ids(tmp_path: Path):
    assert read_published_ids(tmp_path) == {}
