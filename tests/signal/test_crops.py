from __future__ import annotations

import numpy as np
import torch

from benchmark.signal.crops import to_waveforms


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
