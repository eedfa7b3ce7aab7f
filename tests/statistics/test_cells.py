from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.errors import StaleArtifactError
from benchmark.statistics.cells import CellKey, joint_replicates, stacked, tally

KEY = CellKey("t", "p", "full")


def predictions(correct: list[int], folds: str, groups: str, head_seed: int = 0) -> pd.DataFrame:
    count = len(correct)
    return pd.DataFrame({
        "name": "r-0", "variant": "default", "task": "t", "protocol": "p", "train_size": "full", "fold": list(folds),
        "head_seed": head_seed, "clip_id": [f"c{i}" for i in range(count)], "group": list(groups),
        "label": 1, "prediction": correct, "credit": np.array(correct, float), "mass": 1.0,
    })  # fmt: skip


def test_accuracy_is_the_mean_over_folds_of_unequal_size():
    cell = tally(predictions([1, 1, 1, 0, 0], "aaaab", "uvwxy"), "r-0")[KEY]
    assert cell.accuracy == pytest.approx((3 / 4 + 0 / 1) / 2)
    assert cell.mass.sum() == pytest.approx(1.0)
    assert (cell.clips, len(cell.mass)) == (5, 5)


def test_replicas_are_kept_apart_and_averaged():
    rows = pd.concat([predictions([1, 1, 0, 0], "aabb", "uuvv", 0), predictions([1, 0, 0, 0], "aabb", "uuvv", 7)])
    cell = tally(rows, "r-0")[KEY]
    np.testing.assert_allclose(cell.hits, [[[0.5, 0.0], [0.25, 0.0]]])
    assert cell.accuracy == pytest.approx(0.375)
    assert cell.resampled == ["replicas", "sources"]


def test_a_speaker_who_is_a_fold_is_still_one_unit():
    cell = tally(predictions([1, 0, 1, 1], "ssrr", "ssrr"), "r-0")[KEY]
    np.testing.assert_allclose(cell.hits[0, 0], [0.5, 0.25])
    assert cell.resampled == ["sources"]


def test_seeds_stack():
    cells = [tally(predictions(correct, "aabb", "uuvv"), "r")[KEY] for correct in ([1, 1, 1, 1], [0, 0, 0, 0])]
    cell = stacked(cells, "r on t")
    np.testing.assert_allclose(cell.by_seed, [1.0, 0.0])
    np.testing.assert_allclose(cell.by_group, [0.25, 0.25])


def test_other_test_clips_are_refused():
    first = tally(predictions([1, 1], "ab", "uv"), "r")[KEY]
    other = tally(predictions([1, 1], "ab", "uw"), "r")[KEY]
    with pytest.raises(StaleArtifactError, match=r"seeds of r on t .* same test clips"):
        stacked([first, other], "r on t")
    with pytest.raises(StaleArtifactError, match="r on t and its references"):
        joint_replicates([first, other], 10, np.random.default_rng(0), "r on t")


def test_replicas_with_other_clips_are_refused():
    rows = pd.concat([predictions([1, 1], "ab", "uv", 0), predictions([1], "a", "u", 1)])
    with pytest.raises(StaleArtifactError, match="replicas of r-0 on t under p"):
        tally(rows, "r-0")
