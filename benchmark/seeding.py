"""All randomness of the project: streams that are pure functions of (seed, run, step, purpose).

A stream is named, never advanced across steps, so a run resumed at step ``s`` draws exactly what the uninterrupted run
would have drawn. Library code takes a generator as an argument and never touches a global one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

Name = str | int


def stream_seed(seed: int, *name: Name) -> int:
    """63-bit seed of the stream called ``name`` under ``seed``; equal arguments give equal seeds on every platform."""
    text = "\x1f".join([str(int(seed)), *(f"{type(part).__name__}:{part}" for part in name)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def numpy_stream(seed: int, *name: Name) -> np.random.Generator:
    """Seeded numpy generator for one purpose, e.g. ``numpy_stream(0, "simclr", 17, "crops")``."""
    return np.random.Generator(np.random.PCG64(stream_seed(seed, *name)))


def torch_stream(seed: int, *name: Name, device: str | torch.device = "cpu") -> torch.Generator:
    """Seeded torch generator on ``device`` for one purpose."""
    import torch

    return torch.Generator(device=device).manual_seed(stream_seed(seed, *name))


@contextmanager
def isolated_torch_seed(seed: int, *name: Name) -> Iterator[None]:
    """Run a block (module construction, say) under its own seed, leaving torch's global generators as they were."""
    import torch

    devices, own_seed = range(torch.cuda.device_count()), stream_seed(seed, *name)
    with torch.random.fork_rng(devices=devices):
        # not torch.manual_seed, which takes down the call stack for three devices that are not there, and keeps it
        torch.default_generator.manual_seed(own_seed)
        if devices:
            torch.cuda.manual_seed_all(own_seed)
        yield
