from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from benchmark.seeding import numpy_stream
from benchmark.signal.crops import FixedDistance, independent_starts, to_waveforms


def test_int16_crops_become_floats_of_the_same_shape_without_rounding() -> None:
    crops = np.array([[[-32768, -1, 0], [1, 16384, 32767]]], dtype=np.int16)
    waveforms = to_waveforms(crops)
    assert waveforms.dtype == torch.float32
    np.testing.assert_array_equal(waveforms.numpy(), crops.astype(np.float64) / 32768.0)


def test_crops_stay_as_they_are() -> None:
    crops = np.arange(12, dtype=np.int16).reshape(2, 2, 3)
    before = crops.copy()
    to_waveforms(crops[:, ::-1])
    to_waveforms(crops).add_(1.0)
    np.testing.assert_array_equal(crops, before)


def test_independent_starts_reach_every_place_where_a_crop_fits() -> None:
    starts = independent_starts(numpy_stream(0, "starts"), np.full(200, 4), 4)
    assert starts.shape == (200, 4)
    assert np.bincount(starts.ravel(), minlength=5).min() > 100  # 160 expected at each of 0..4
    assert starts.max() == 4
    assert (independent_starts(numpy_stream(0, "starts"), np.zeros(2, np.int64), 2) == 0).all()


def test_independent_starts_are_a_function_of_the_stream() -> None:
    room = np.full(5, 1000)
    first, again, other = (independent_starts(numpy_stream(0, "a", step), room, 2) for step in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("distance", [0, 25, 400])
def test_crops_at_a_distance_are_so_far_apart_or_as_far_as_the_clip_allows(distance: int) -> None:
    room = np.repeat([0, 10, 60, 1_000], 500)
    starts = FixedDistance(distance)(numpy_stream(0, "starts"), room, 2)
    apart = np.minimum(distance, room)
    np.testing.assert_array_equal(np.abs(starts[:, 1] - starts[:, 0]), apart)
    assert (starts >= 0).all()
    assert (starts <= room[:, None]).all()
    left, span = starts.min(axis=1)[-500:], 1_000 - apart[-1]
    assert kstest((left + 0.5) / (span + 1), "uniform").pvalue > 1e-3
    if distance:
        assert 200 < (starts[-500:, 0] < starts[-500:, 1]).sum() < 300, "either comes first"


def test_a_distance_is_between_two_crops() -> None:
    with pytest.raises(ValueError, match="between two crops"):
        FixedDistance(5)(numpy_stream(0, "starts"), np.array([9]), 3)
