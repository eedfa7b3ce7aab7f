"""Packed crops to waveforms on the device."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FULL_SCALE = 32_768.0
"""Magnitude of the most negative 16-bit sample, which becomes -1."""


def to_waveforms(crops: NDArray[np.int16], device: torch.device | str = "cpu") -> Tensor:
    """Move int16 crops of any shape, e.g. ``(B, V, T)``, to ``device`` as float32 waveforms in [-1, 1).

    They travel as int16 (half the bytes), from pinned memory without blocking where the device is a GPU.
    """
    packed = torch.from_numpy(np.ascontiguousarray(crops))
    device = torch.device(device)
    if device.type == "cuda":
        packed = packed.pin_memory().to(device, non_blocking=True)
    return packed.to(device, torch.float32).div_(FULL_SCALE)
