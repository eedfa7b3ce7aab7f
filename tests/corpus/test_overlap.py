from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark import registry
from benchmark.corpus.overlap import overlap, within
from benchmark.corpus.store import CHECKSUM
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


def test_esc10_and_two_folds_of_urbansound8k_share_six_sources(real_audio: Path):
    esc50, us8k = (registry.load("dataset", name) for name in ("esc50", "urbansound8k"))
    tables = [dataset.read(real_audio / dataset.folder) for dataset in (esc50, us8k)]
    if (len(tables[0]), set(tables[1]["fold"])) != (400, {"1", "10"}):
        pytest.skip("counted on ESC-10 and folds 1 and 10 of UrbanSound8K")
    found = overlap(registry.load("task", "us8k"), tables[1], tables[0])
    assert (found.sources, found.clips, found.of) == (6, 21, 1710)
    assert sum(found.by_part.values()) == 21
    back = overlap(registry.load("task", "esc10"), *tables)
    assert (back.sources, back.clips, back.of) == (6, 6, 400)


@pytest.mark.parametrize("name", ["esc10", "us8k", "fsdd_digit", "fsdd_digit_official", "fsdd_speaker"])
def test_no_task_trains_on_what_it_tests(name: str, real_audio: Path):
    task: Task = registry.load("task", name)
    dataset: Dataset = registry.load("dataset", task.dataset)
    assert within(task, dataset.read(real_audio / dataset.folder)).remaining == 0
