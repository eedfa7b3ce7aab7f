"""The interface of a pretext method: what it wants to read, its loss, and what it leaves behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from benchmark.config import MethodConfig, Training
from benchmark.signal.crops import StartSampler, independent_starts
from benchmark.signal.encoder import Encoder
from benchmark.signal.projection import ProjectionHead


@dataclass(frozen=True)
class CropRequest:
    """What a training step reads of each clip: ``views`` crops of ``samples`` samples."""

    views: int
    samples: int
    short: Literal["pad", "tile"] = "pad"
    """What a clip shorter than a crop becomes: followed by zeros, or repeated."""
    minimum: int = 0
    """Clips of fewer samples are left out of training, and counted."""
    starts: StartSampler = independent_starts
    """Where the crops of a clip begin."""


@dataclass(frozen=True)
class Batch:
    """One training batch, all clips from one dataset."""

    waveforms: Tensor
    """``(B, V, T)`` float32 in [-1, 1], on the device."""
    lengths: Tensor
    """``(B,)`` int64: samples of each crop that come from the clip (the rest is padding); tiled crops count in full."""
    labels: Tensor | None
    """``(B,)`` int64 class indices; None unless the run trains with a task's labels."""
    positions: Tensor | None = None
    """``(B, V)`` float32 in [0, 1]: where each crop begins, 0 at the clip's start and 1 where its end is the clip's."""


@dataclass(frozen=True)
class Step:
    """What a training step gives back."""

    loss: Tensor
    """Scalar."""
    embeddings: Tensor | None = None
    """``(B, D)`` representations watched for collapse; None switches the watch off."""
    logs: dict[str, Tensor] = field(default_factory=dict)
    """Further scalars for the curves."""


class Method(nn.Module, ABC):
    """Base of every method.

    A module in ``methods/`` exposes its class as ``METHOD``; the module's name is the method's id. The class is built
    as ``METHOD(config, encoder, n_classes)`` under the run's seed; every parameter that requires a gradient is trained.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    default_training: ClassVar[Training] = Training(steps=0)
    """Published optimisation settings, the defaults of every run of the method. ``steps=0``: nothing is trained."""
    needs_labels: ClassVar[bool] = False

    def __init__(self, config: MethodConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.n_classes = n_classes

    @abstractmethod
    def crops(self) -> CropRequest:
        """What a training step (or a calibration batch) reads."""

    @abstractmethod
    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Views, forward pass and loss of one batch; all randomness from ``generator``, on the batch's device.

        Of several ranks each sees its share of the batch under the same generator (docs/distributed.md).
        """

    def windows(self) -> int:
        """Windows of a clip that pass the encoder in a step, or a decoder that costs as much: what estimates of cost count."""
        return self.crops().views

    def after_step(self, step: int) -> None:
        """Hook after the optimiser's step ``step`` (from 0): momentum encoders, memory banks."""

    def finish(self, batches: list[Batch]) -> None:
        """Hook after the last step with a few training batches, under no_grad: e.g. batch-norm calibration."""

    def exported(self) -> dict[str, Encoder]:
        """The encoders this method leaves behind, by name; ``encoder`` is the one that is evaluated."""
        return {"encoder": self.encoder}

    def projection(self) -> ProjectionHead | None:
        """What maps the evaluated encoder's h to the z of a contrastive loss; exported for protocols that score z."""
        return None

    def head(self) -> nn.Linear | None:
        """The classifier trained together with the encoder, for the protocol head ``own``."""
        return None
