"""The device and its arithmetic, as the configuration states them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import deterministic

from benchmark.config import Machine, Precision
from benchmark.errors import ConfigError
from benchmark.pretraining.method import Step

_SETTINGS: Any = deterministic
"""Of deterministic algorithms; a module whose attribute type checkers do not see."""


@contextmanager
def deterministic_torch(machine: Machine) -> Iterator[torch.device]:
    """Run a block on the stated device and threads, deterministically and in full float32; then restore what was.

    Raises:
        ConfigError: the device does not exist here.
    """
    device = _device(machine)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for to be deterministic
    threads, mode, fill = (
        torch.get_num_threads(),
        torch.get_deterministic_debug_mode(),
        _SETTINGS.fill_uninitialized_memory,
    )
    torch.set_num_threads(machine.threads)
    # As use_deterministic_algorithms(True), which also loads the compiler of graphs: two seconds a stage for what is not used.
    torch.set_deterministic_debug_mode("error")
    # Filled, memory shows reads of what nobody wrote, for 5 % of a training step.
    _SETTINGS.fill_uninitialized_memory = False
    try:
        with tensor_float_32(False):
            yield device
    finally:
        _SETTINGS.fill_uninitialized_memory = fill
        torch.set_deterministic_debug_mode(mode)
        torch.set_num_threads(threads)


@contextmanager
def tensor_float_32(allowed: bool) -> Iterator[None]:
    """Whether a GPU's convolutions and matrix products may round what they read to TF32; PyTorch lets convolutions."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


def with_gradients(forward: Callable[[], Step], precision: Precision, device: torch.device) -> Step:
    """A step, and the gradients of its loss: both passes in the stated precision, autocast in the first alone."""
    with tensor_float_32(precision == "tf32"):
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            step = forward()
        step.loss.backward()  # type: ignore[no-untyped-call]
    return step


def _device(machine: Machine) -> torch.device:
    """The stated device; of several ranks each has its own."""
    name = machine.device
    own = f"{name}:{os.environ.get('LOCAL_RANK', '0')}" if machine.ranks > 1 and name != "cpu" else name
    try:
        return torch.empty(0, device=own).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"machine.device: {own!r} is not available here; choose another, e.g. cpu.") from error
