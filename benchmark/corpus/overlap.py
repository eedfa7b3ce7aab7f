"""What two sets of clips share: source recordings (or speakers) by id, and identical audio by checksum.

The id is the ``group`` column, whose namespaces are shared between datasets (``freesound:<id>``). The checksum is that of the
decoded samples at the corpus's rate: it finds a recording under another name, in another container or another lossless
codec, and neither a cut nor a lossy copy of it. Corpora of different rates share no checksums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.corpus.splits import SPLIT_SEED, folds, forbidden_rows, identical_rows, selected
from benchmark.records import Task


@dataclass(frozen=True)
class Overlap:
    """What some clips share with others."""

    clips: int
    """Clips that share a source or their samples with the others."""
    of: int
    """Clips that there are."""
    sources: int
    """Source ids in common."""
    identical: int
    """Clips with the samples of one of the others."""
    by_part: dict[str, int]
    """``clips`` by fold, or of the one test part; parts without any are left out."""


def overlap(task: Task, clips: pd.DataFrame, others: pd.DataFrame) -> Overlap:
    """What a task's test clips share with ``others``.

    Args:
        task: whose test part, or folds in turn, are looked at.
        clips: the whole clips table of the task's dataset.
        others: clips table of what an encoder is trained on.
    """
    column = task.fold_column or task.split_column
    own = clips.iloc[selected(task, clips)]
    test = own if task.fold_column else own[own[column] == "test"]
    shared = forbidden_rows(test, [others])
    parts = test[column][shared].astype(str).value_counts().sort_index()
    return Overlap(
        clips=int(shared.sum()),
        of=len(test),
        sources=len(set(test["group"]) & set(others["group"])),
        identical=int(identical_rows(test, [others]).sum()),
        by_part={str(part): int(count) for part, count in parts.items()},
    )


@dataclass(frozen=True)
class Within:
    """What the official training part of a task shares with its test part, over all folds."""

    dropped: int
    """Training or validation clips that are left out for it, a clip once a fold."""
    sources: int
    """Sources in both parts of some fold."""
    identical: int
    """Of the dropped clips, those with the samples of a test clip."""
    remaining: int
    """Clips that share a source or samples with the test part and train all the same; not zero would be a fault."""


def within(task: Task, clips: pd.DataFrame) -> Within:
    """What a task's folds share, and whether all of it is left out of training.

    Raises:
        DataError: see :func:`.splits.folds`.
    """
    sources: set[str] = set()
    dropped = identical = remaining = 0
    grouped = clips.assign(group=clips[task.group].astype(str))
    for fold in folds(task, clips, SPLIT_SEED):
        test, left_out = grouped.iloc[fold.test], grouped.iloc[fold.dropped]
        sources |= set(left_out["group"][_of_group(left_out, test)])
        dropped += len(left_out)
        identical += int(identical_rows(left_out, [test]).sum())
        learnt = grouped.iloc[np.concatenate([fold.train, fold.valid])]
        remaining += int(forbidden_rows(learnt, [test]).sum())
    return Within(dropped, len(sources), identical, remaining)


def _of_group(clips: pd.DataFrame, others: pd.DataFrame) -> NDArray[np.bool_]:
    return clips["group"].isin(set(others["group"])).to_numpy(bool)
