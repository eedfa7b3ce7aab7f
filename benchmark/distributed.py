"""Several processes that train one model: ranks, as torchrun starts them. In a single process everything here is a no-op.

A batch is that of all ranks together. Each rank works on its share of it, equal and contiguous, so rows gathered in the
order of the ranks are the rows of the batch, and what is drawn for the whole batch is the same on every rank.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any, cast

import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from benchmark.config import Machine
from benchmark.errors import ConfigError, RankLostError

TIMEOUT = timedelta(minutes=10)
"""How long a rank waits for the others before it gives up."""

_meetings = count()


def world_size() -> int:
    """How many ranks work together."""
    return dist.get_world_size() if _joined() else 1


def rank() -> int:
    """This process's number among them, from 0."""
    return dist.get_rank() if _joined() else 0


def shared(rows: int) -> slice:
    """This rank's part of so many rows, which must divide by the number of ranks."""
    size = rows // world_size()
    return slice(rank() * size, (rank() + 1) * size)


def share(rows: Tensor) -> Tensor:
    """This rank's part of a tensor ``(W B, ...)`` of the whole batch, ``(B, ...)``; W is the number of ranks."""
    return rows[shared(len(rows))] if _joined() else rows


def gather(rows: Tensor) -> Tensor:
    """The rows ``(B, ...)`` of every rank, in their order: ``(W B, ...)``.

    Gradients flow back to the rank that the rows came from, summed over all ranks. Averaged over ranks, as the training
    loop does, a loss that every rank takes of all gathered rows has the gradient that one process would give it; so has
    the mean over a rank's own rows of a loss against gathered ones.
    """
    return cast(Tensor, _Gather.apply(rows)) if _joined() else rows  # type: ignore[no-untyped-call]


@torch.no_grad()
def mean(value: Tensor) -> Tensor:
    """Mean of a tensor over ranks, without gradient; not finite where one of them is not."""
    if not _joined():
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / world_size()


def largest(value: int) -> int:
    """The largest of the ranks' values; every rank waits for the others here."""
    if not _joined():
        return value
    found = torch.tensor(value)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


def decided(by_main: bool) -> bool:
    """What rank 0 says, on every rank."""
    return bool(largest(int(by_main and rank() == 0)))


def unite(array: NDArray[Any]) -> None:
    """Fill in what other ranks computed, in place: every element was left zero by all ranks but one. Keeps the bits."""
    if _joined():
        dist.all_reduce(torch.from_numpy(array.view(f"i{array.itemsize}")))


@contextmanager
def joined(machine: Machine, device: torch.device) -> Iterator[None]:
    """Work with the other ranks during a block; nothing happens where ``machine.ranks`` is 1.

    Raises:
        ConfigError: another number of ranks was started.
        RankLostError: another rank ended, or did not answer in time.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != machine.ranks:
        raise ConfigError(
            f"machine.ranks is {machine.ranks}, and {started} {'rank was' if started == 1 else 'ranks were'} started; "
            "set machine.ranks in params.yaml to what torchrun starts, or leave starting them to the benchmark command."
        )
    if started == 1:
        yield
        return
    try:
        _meet(device)
        yield
    except RuntimeError as error:
        if not _of_communication(error):
            raise
        raise RankLostError(
            f"Rank {os.environ['RANK']} of {started} lost the others: one of them ended or did not answer. Everything up to the "
            "last checkpoint is kept; run the same command again to go on."
        ) from error
    finally:
        if _joined():
            dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    """The same two calls on every backend; torch's own (torch.distributed.nn) asks which backend it runs on."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        rows = rows.contiguous()
        parts = [torch.empty_like(rows) for _ in range(world_size())]
        dist.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return share(total)


def _meet(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_device(device)
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    backend = "gloo" if device.type == "cpu" else f"cpu:gloo,{device.type}:nccl"
    store, number, ranks = next(rendezvous("env://", timeout=TIMEOUT))
    fresh = PrefixStore(f"meeting-{next(_meetings)}", store)  # addresses of an earlier meeting lead nowhere
    dist.init_process_group(backend, store=fresh, rank=number, world_size=ranks, timeout=TIMEOUT)


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


def _of_communication(error: RuntimeError) -> bool:
    """Whether an error tells of another process rather than of this one; gloo raises bare errors from its own files."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)
