from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from benchmark.artifacts import Cache
from benchmark.evaluation.cells import pack, unpack
from benchmark.evaluation.protocols import Outcome

NOTHING = np.empty(0, np.int64)
CLIPS = Outcome("1", "full", 0, np.array([3, 5]), np.array([1, 0]), NOTHING, NOTHING, 0.1)
SLICES = replace(CLIPS, fold="10", slices=np.array([6, 7, 10]), slice_predictions=np.array([1, 1, 0]), chosen=None)
FAILED = Outcome("2", "50", 3, np.array([8]), NOTHING, NOTHING, NOTHING, reason="Class 0 has too few clips.")


def same(first: Outcome, second: Outcome) -> bool:
    pairs = [(getattr(first, field.name), getattr(second, field.name)) for field in fields(Outcome)]
    return all(type(a) is type(b) and np.array_equal(a, b) for a, b in pairs)


def test_a_cell_survives_the_cache(tmp_path: Path) -> None:
    outcomes = [*[replace(CLIPS, head_seed=number) for number in range(11)], SLICES, FAILED]
    cache = Cache(tmp_path)
    cache.put("cells", "key", *pack(outcomes))
    cached = cache.get("cells", "key")
    assert cached is not None
    found = unpack(*cached)
    assert len(found) == len(outcomes)
    assert all(same(a, b) for a, b in zip(found, outcomes, strict=True))


def test_a_cell_without_outcomes_survives_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("cells", "key", *pack([]))
    cached = cache.get("cells", "key")
    assert cached is not None
    assert unpack(*cached) == []
