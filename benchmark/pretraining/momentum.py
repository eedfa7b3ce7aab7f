"""Building blocks of methods with a slow second network: exponential moving averages and a memory bank."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.distributed import gather


@torch.no_grad()
def update_ema(target: nn.Module, source: nn.Module, momentum: float) -> None:
    """Move ``target`` in place: parameters to ``momentum * target + (1 - momentum) * source``; buffers are copied.

    The two modules have the same architecture (MoCo, He et al. 2020, equation 2).

    Raises:
        ValueError: ``momentum`` outside [0, 1], or the modules differ in their number of parameters or buffers.
    """
    if not 0.0 <= momentum <= 1.0:
        raise ValueError(f"momentum must lie in [0, 1], got {momentum}")
    for slow, fast in zip(target.parameters(), source.parameters(), strict=True):
        slow.lerp_(fast, 1.0 - momentum)
    for slow_buffer, fast_buffer in zip(target.buffers(), source.buffers(), strict=True):
        slow_buffer.copy_(fast_buffer)


class MemoryBank(nn.Module):
    """A first-in first-out queue of L2-normalised embeddings, kept in buffers so that checkpoints hold it.

    It starts filled with random unit vectors, as MoCo's queue does (He et al. 2020, released code). The banks of all
    ranks hold the same embeddings in the same order.

    Args:
        size: embeddings kept, K.
        dimension: of each embedding, D.
        generator: draws the initial vectors.
    """

    embeddings: Tensor
    """``(K, D)``, unit rows."""
    position: Tensor
    """Where the next embedding is written."""

    def __init__(self, size: int, dimension: int, generator: torch.Generator) -> None:
        super().__init__()
        start = torch.randn(size, dimension, generator=generator, device=generator.device)
        self.register_buffer("embeddings", functional.normalize(start, dim=1))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64, device=generator.device))

    @torch.no_grad()
    def push(self, embeddings: Tensor) -> None:
        """Replace the oldest entries by ``embeddings`` ``(B, D)``, normalised here, and by those of all other ranks.

        Raises:
            ValueError: a batch larger than the bank.
        """
        embeddings = gather(embeddings)
        size, batch = len(self.embeddings), len(embeddings)
        if batch > size:
            raise ValueError(f"a batch of {batch} does not fit into a memory bank of {size}")
        slots = (self.position + torch.arange(batch, device=self.position.device)) % size
        self.embeddings[slots] = functional.normalize(embeddings.to(self.embeddings.dtype), dim=1)
        self.position.copy_((self.position + batch) % size)
