"""Encoders as files: what pre-training hands to evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark import registry
from benchmark.artifacts import Arrays, hash_arrays, read_arrays, write_arrays
from benchmark.config import validate
from benchmark.errors import ConfigError, CorruptArtifactError, StaleArtifactError
from benchmark.pretraining.checkpoint import to_numpy
from benchmark.seeding import isolated_torch_seed
from benchmark.signal.encoder import Encoder
from benchmark.signal.projection import ProjectionHead

_HEAD = "head."
_PROJECTION = "projection."


@dataclass(frozen=True)
class Part:
    """One exported encoder: its arrays, and the record that says what they are."""

    arrays: Arrays
    encoder: str
    config: dict[str, Any]
    weights: str
    """Hash of the encoder's parameters and buffers."""
    part: str
    """``all``, ``fold-<name>``, or either with ``-step<k>`` for a snapshot."""
    fold: str | None
    step: int | None
    """Completed steps of a snapshot; None for the finished encoder."""
    job: str
    """Key of the pre-training job."""

    @property
    def record(self) -> dict[str, Any]:
        """Everything but the arrays."""
        return {name: value for name, value in vars(self).items() if name != "arrays"}


def build_encoder(name: str, config: Mapping[str, Any]) -> Encoder:
    """A fresh encoder from the registry.

    Raises:
        ConfigError: unknown encoder, or its configuration refuses a value.
    """
    cls: type[Encoder] = registry.load("encoder", name)
    return cls(validate(cls.Config, config, f"encoder {name}"))


def export_part(
    encoder: Encoder,
    name: str,
    config: Mapping[str, Any],
    *,
    part: str,
    fold: str | None,
    step: int | None,
    job: str,
    head: nn.Linear | None = None,
    projection: ProjectionHead | None = None,
) -> Part:
    """A copy of an encoder, and of its classifier and projection head where it has them, ready to be written."""
    arrays = {key: to_numpy(tensor) for key, tensor in encoder.state_dict().items()}
    weights = hash_arrays(arrays)
    if head is not None:
        arrays |= {_HEAD + key: to_numpy(tensor) for key, tensor in head.state_dict().items()}
    if projection is not None:
        arrays |= {_PROJECTION + key: to_numpy(tensor) for key, tensor in projection.state_dict().items()}
    return Part(arrays, name, dict(config), weights, part, fold, step, job)


def write_part(folder: Path, part: Part) -> Path:
    """Write ``<part>.safetensors`` atomically."""
    path = folder / f"{part.part}.safetensors"
    write_arrays(path, part.arrays, part.record)
    return path


def probe_file(part: str) -> str:
    """Name of the file with the predictions of a part's probe."""
    return f"{part}.probe.safetensors"


def load_part(path: Path) -> tuple[Encoder, dict[str, Any], nn.Linear | None]:
    """The encoder in evaluation mode on the CPU, its record, and its classifier where the method trained one.

    Raises:
        StaleArtifactError: the file does not exist, or the present code no longer builds its encoder.
        CorruptArtifactError: it is damaged, or its weights are not those of its record.
    """
    arrays, record = read_arrays(path)
    weights = {name: array for name, array in arrays.items() if not name.startswith((_HEAD, _PROJECTION))}
    if hash_arrays(weights) != record.get("weights"):
        raise CorruptArtifactError(f"{path}: its weights are not those of its record; delete it and run `dvc repro`.")
    try:
        with isolated_torch_seed(0, "load_part"):  # the initial values are overwritten, but they are drawn
            encoder, head = build_encoder(record["encoder"], record["config"]), _head(arrays)
        encoder.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    except (ConfigError, RuntimeError) as error:
        raise StaleArtifactError(
            f"{path}: the present code does not build its encoder {record['encoder']!r}; run `dvc repro` again."
        ) from error
    return encoder.eval(), record, head


def load_projection(path: Path) -> ProjectionHead | None:
    """The projection head in evaluation mode on the CPU, where the method trained one and exported it.

    Raises:
        StaleArtifactError: the file does not exist.
        CorruptArtifactError: it is damaged.
    """
    arrays, _ = read_arrays(path)
    state = {
        name.removeprefix(_PROJECTION): torch.from_numpy(array)
        for name, array in arrays.items()
        if name.startswith(_PROJECTION)
    }
    matrices = [
        value for value in state.values() if value.ndim == 2
    ]  # safetensors sorts names: layer by layer below ten
    if not matrices:
        return None
    sizes = [matrices[0].shape[1], *(len(matrix) for matrix in matrices)]
    with isolated_torch_seed(0, "load_projection"):
        projection = ProjectionHead(sizes[0], sizes[1:-1], sizes[-1])
    projection.load_state_dict(state)
    return projection.eval()


def _head(arrays: Arrays) -> nn.Linear | None:
    if f"{_HEAD}weight" not in arrays:
        return None
    weight = torch.from_numpy(arrays[f"{_HEAD}weight"])
    head = nn.Linear(weight.shape[1], weight.shape[0], bias=f"{_HEAD}bias" in arrays)
    head.load_state_dict({key: torch.from_numpy(arrays[_HEAD + key]) for key in head.state_dict()})
    return head.eval()
