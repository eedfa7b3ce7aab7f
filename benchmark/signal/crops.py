"""Where crops begin, and packed crops to waveforms on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FULL_SCALE = 32_768.0
"""Magnitude of the most negative 16-bit sample, which becomes -1."""


StartSampler = Callable[[np.random.Generator, NDArray[np.int64], int], NDArray[np.int64]]
"""From a random stream, the room of each clip ``(B,)`` (samples by which it is longer than a crop, at least 0) and the
number of views V, to the first sample of each crop ``(B, V)``, within [0, room]."""


def independent_starts(generator: np.random.Generator, room: NDArray[np.int64], views: int) -> NDArray[np.int64]:
    """Each crop uniform over all that fit, independent of the others of its clip."""
    return generator.integers(0, room[:, None], size=(len(room), views), endpoint=True)


@dataclass(frozen=True)
class FixedDistance:
    """Two crops whose starts are ``distance`` samples apart, or as far as the clip allows (fonseca2021 section 4.1).

    The pair is uniform over all places where it fits, and which of the two comes first is a coin's toss: the paper says only
    that the distance is bounded by the clip.
    """

    distance: int

    def __call__(self, generator: np.random.Generator, room: NDArray[np.int64], views: int) -> NDArray[np.int64]:
        """Starts ``(B, 2)``; see :data:`StartSampler`.

        Raises:
            ValueError: asked for another number of crops than two.
        """
        if views != 2:
            raise ValueError(f"a distance is between two crops, not {views}")
        apart = np.minimum(self.distance, room)
        first = generator.integers(0, room - apart, endpoint=True)
        pair = np.stack([first, first + apart], axis=1)
        swapped = generator.integers(2, size=len(room)) == 1
        return np.where(swapped[:, None], pair[:, ::-1], pair)


def to_waveforms(crops: NDArray[np.int16], device: torch.device | str = "cpu") -> Tensor:
    """Move int16 crops of any shape, e.g. ``(B, V, T)``, to ``device`` as float32 waveforms in [-1, 1).

    They travel as int16 (half the bytes), from pinned memory without blocking where the device is a GPU.
    """
    packed = torch.from_numpy(np.ascontiguousarray(crops))
    device = torch.device(device)
    if device.type == "cuda":
        packed = packed.pin_memory().to(device, non_blocking=True)
    return packed.to(device, torch.float32).div_(FULL_SCALE)
