"""Checkpoints from which a killed run resumes to the same bits.

A checkpoint is one safetensors file with the method's parameters and buffers, the optimiser's state tensors, and a
record with the job's key, the number of completed steps and the history of logged scalars. Randomness needs no state:
every stream is a function of the step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.artifacts import Arrays, read_arrays, write_arrays
from benchmark.errors import CorruptArtifactError, StaleArtifactError
from benchmark.launch import is_main
from benchmark.pretraining.method import Method

History = list[dict[str, float]]
"""Logged scalars in order; every entry has its ``step``."""

KEPT = 2


@dataclass
class TrainingState:
    """Everything that a step changes."""

    method: Method
    optimizer: torch.optim.Optimizer
    history: History
    step: int = 0
    """Completed steps."""


class Checkpoints:
    """The last checkpoints of one part of one run, in one folder.

    Args:
        folder: holds nothing else.
        key: identifies job and part; a checkpoint with another key is refused.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key

    def paths(self) -> list[Path]:
        """Files present, oldest first."""
        return sorted(self.folder.glob("step-*.safetensors"))

    def save(self, state: TrainingState) -> None:
        """Write a checkpoint atomically, then drop all but the last two; of several ranks the first does.

        Raises:
            StorageError: the disk is full; the checkpoints before are untouched.
        """
        if not is_main():
            return
        arrays = {
            **{f"method/{name}": to_numpy(tensor) for name, tensor in state.method.state_dict().items()},
            **{f"optimizer/{name}": to_numpy(tensor) for name, tensor in _optimizer_tensors(state.optimizer)},
        }
        record = {"key": self.key, "step": state.step, "history": state.history}
        write_arrays(self.folder / f"step-{state.step:09d}.safetensors", arrays, record)
        for path in self.paths()[:-KEPT]:
            path.unlink()

    def restore(self, state: TrainingState) -> bool:
        """Load the latest checkpoint into ``state`` in place; False where there is none.

        Raises:
            CorruptArtifactError: it is damaged.
            StaleArtifactError: it belongs to another configuration.
        """
        paths = self.paths()
        if not paths:
            return False
        path = paths[-1]
        advice = f"training then {'resumes from the checkpoint before' if paths[:-1] else 'starts from scratch'}"
        try:
            arrays, record = read_arrays(path)
        except CorruptArtifactError as error:
            raise CorruptArtifactError(f"Checkpoint {path} is damaged; delete it and run again: {advice}.") from error
        if record.get("key") != self.key:
            raise StaleArtifactError(
                f"Checkpoint {path} belongs to another configuration; delete it and run again: {advice}."
            )
        _load(state, arrays)
        state.step, state.history[:] = record["step"], record["history"]
        return True

    def clear(self) -> None:
        """Remove the folder's checkpoints, and temporary files that a kill left behind."""
        for path in [*self.paths(), *self.folder.glob(".step-*.tmp")]:
            path.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """A copy of a tensor's values on the host, in row-major order."""
    return np.array(tensor.detach().cpu().numpy(), order="C")


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """State tensors as ``<parameter index>/<name>``."""
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                yield f"{index}/{name}", value


def _load(state: TrainingState, arrays: Arrays) -> None:
    method = {name.removeprefix("method/"): a for name, a in arrays.items() if name.startswith("method/")}
    state.method.load_state_dict({name: torch.from_numpy(array) for name, array in method.items()})

    parameters = [parameter for group in state.optimizer.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        if name.startswith("optimizer/"):
            _, index, slot = name.split("/")
            slots.setdefault(int(index), {})[slot] = _laid_out_like(parameters[int(index)], torch.from_numpy(array))
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": slots, "param_groups": groups})


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """``value`` with the memory layout of its parameter: fused kernels walk both in memory order."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
