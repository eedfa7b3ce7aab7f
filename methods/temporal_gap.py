"""TemporalGap: how far apart in time are two slices of a clip (tagliasacchi2020 §III)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn
from torch.nn import functional

from benchmark import Batch, Count, CropRequest, Encoder, LogMelEncoder, Method, MethodConfig, Step, Training
from methods._slices import require_log_mel


class TemporalGapConfig(MethodConfig):
    """Published."""

    hidden: Count = Field(64, description="units of the hidden layer (§III)")
    loss: Literal["cross_entropy", "mse"] = Field("cross_entropy", description="cross entropy was better (§III)")


class TemporalGap(Method):
    """Two slices whose distance, as a share of the longest possible, is uniform in [0, 1] and is to be told."""

    Config: ClassVar[type[TemporalGapConfig]] = TemporalGapConfig
    default_training: ClassVar[Training] = Training(optimizer="adam", lr=1e-4, batch_size=256, steps=3_000_000)
    """tagliasacchi2020 §IV."""

    config: TemporalGapConfig
    encoder: LogMelEncoder

    def __init__(self, config: TemporalGapConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__(config, require_log_mel(encoder, "temporal_gap"), n_classes)
        self.regressor = nn.Sequential(
            nn.Linear(2 * encoder.embedding_size, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 1)
        )

    def crops(self) -> CropRequest:
        """Two slices of clips that leave room for a gap of at least one frame."""
        hop = self.encoder.frontend.config.hop
        window = self.encoder.window
        return CropRequest(2, window, minimum=window + hop, starts=GapStarts(hop))

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Cross entropy (or squared error) between the true and the predicted gap.

        The target is not 0 or 1, so the cross entropy of a perfect answer is the target's own entropy (0.5 nats on average).
        """
        assert batch.positions is not None
        gap = (batch.positions[:, 0] - batch.positions[:, 1]).abs()
        with torch.no_grad():
            patches = self.encoder.standardise(self.encoder.frontend(batch.waveforms))
        embeddings = self.encoder.embed(patches.flatten(0, 1))
        logits = self.regressor(embeddings.unflatten(0, (-1, 2)).flatten(1)).float().squeeze(1)
        error = (logits.detach().sigmoid() - gap).abs().mean()
        if self.config.loss == "mse":
            loss = functional.mse_loss(logits.sigmoid(), gap)
        else:
            loss = functional.binary_cross_entropy_with_logits(logits, gap)
        return Step(loss, embeddings, {"mean_absolute_error": error})


class GapStarts:
    """Two starts a clip, a uniform number of frames apart, in either order."""

    def __init__(self, hop: int) -> None:
        self.hop = hop

    def __call__(self, generator: np.random.Generator, room: NDArray[np.int64], views: int) -> NDArray[np.int64]:
        """``(B, 2)`` first samples; the gap is uniform over 0, 1, ... frames, the first slice over all places that fit."""
        frames = room // self.hop
        gap = generator.integers(0, frames, endpoint=True)
        first = generator.integers(0, frames - gap, endpoint=True)
        starts = np.stack([first, first + gap], axis=1) * self.hop
        return generator.permuted(starts, axis=1)


METHOD = TemporalGap
