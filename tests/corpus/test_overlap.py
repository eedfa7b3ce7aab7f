from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import registry
from benchmark.corpus.overlap import overlap, within
from benchmark.corpus.splits import CHECKSUM
from benchmark.records import Dataset, Task

TASK = Task(id="toy", title="Toy", dataset="toy", label="label", split_column="split")


def clips(groups: str, splits: str, checksums: str = "") -> pd.DataFrame:
    table = pd.DataFrame({"group": list(groups), "split": [{"t": "train", "e": "test"}[s] for s in splits]})
    table = table.assign(clip_id=[f"c{n}" for n in range(len(table))], label=["x", "y"] * (len(table) // 2))
    return table.assign(checksum=list(checksums)) if checksums else table


def test_only_the_test_part_counts():
    own = clips("abcdef", "tttteeee"[:6], "123456")
    source = pd.DataFrame({"group": list("aeq"), "checksum": list("796")})
    found = overlap(TASK, own, source)
    assert (found.clips, found.of, found.sources, found.identical) == (2, 2, 1, 1)
    assert found.by_part == {"test": 2}


def test_without_checksums_sources_are_compared_all_the_same():
    found = overlap(TASK, clips("abcdef", "tttttt".replace("t", "e", 6)), pd.DataFrame({"group": ["b", "b"]}))
    assert (found.clips, found.of, found.sources, found.identical) == (1, 6, 1, 0)


def test_within_counts_what_is_left_out_of_training():
    own = clips("aabbccddeeff" + "gahi", "t" * 12 + "e" * 4, "0123456789ab" + "cdef")
    own.loc[own["clip_id"] == "c4", CHECKSUM] = "f"  # a training clip of another source with the samples of a test clip
    found = within(TASK, own)
    assert (found.dropped, found.sources, found.identical, found.remaining) == (3, 1, 1, 0)


def test_urbansound8k_has_five_sources_in_two_folds(real_audio: Path):
    """On the published folds, of which the fixture may hold some: 106905, 132016, 176638, 180937, 77751."""
    dataset: Dataset = registry.load("dataset", "urbansound8k")
    table = dataset.read(real_audio / dataset.folder)
    task: Task = registry.load("task", "us8k")
    found = within(task, table)
    if set(table["fold"]) == {"1", "10"}:
        assert found.sources == 5
    assert found.sources <= 5
    assert found.dropped >= found.sources
    assert found.remaining == 0


def test_esc50_and_urbansound8k_share_sources(real_audio: Path):
    esc50, us8k = (registry.load("dataset", name) for name in ("esc50", "urbansound8k"))
    tables = [dataset.read(real_audio / dataset.folder) for dataset in (esc50, us8k)]
    found = overlap(registry.load("task", "us8k"), tables[1], tables[0])
    assert 0 < found.sources <= 94
    assert found.sources == len(set(tables[0]["group"]) & set(tables[1]["group"]))
    assert found.clips == int(np.isin(tables[1]["group"], tables[0]["group"]).sum())
    assert sum(found.by_part.values()) == found.clips


@pytest.mark.parametrize("name", ["esc10", "us8k", "fsdd_digit", "fsdd_digit_official", "fsdd_speaker"])
def test_no_task_trains_on_what_it_tests(name: str, real_audio: Path):
    task: Task = registry.load("task", name)
    dataset: Dataset = registry.load("dataset", task.dataset)
    assert within(task, dataset.read(real_audio / dataset.folder)).remaining == 0
