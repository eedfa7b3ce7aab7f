"""Ids of published results: where a study runs something under another name than the numbers it reproduces have."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.artifacts import read_json

FILE = "published_ids.json"
PublishedIds = dict[str, dict[str, dict[str, str]]]
"""Study -> column (encoder or train_size) -> id here -> id there."""


def read_published_ids(folder: Path) -> PublishedIds:
    """What aggregation wrote beside the scores; nothing where a folder of an earlier version has no such file."""
    file = folder / FILE
    ids: PublishedIds = read_json(file) if file.exists() else {}
    return ids


def as_published(rows: pd.DataFrame, ids: PublishedIds) -> pd.DataFrame:
    """Rows with a column ``study``, each study's ids replaced by those of published results."""
    named = rows.copy()
    for study, columns in ids.items():
        own = named["study"] == study
        for column, names in columns.items():
            named.loc[own, column] = named.loc[own, column].astype(str).replace(names)
    return named
