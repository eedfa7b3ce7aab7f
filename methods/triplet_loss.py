"""TripletLoss: slices of one clip lie closer together than slices of two (tagliasacchi2020 §IV, after Jansen et al. 2018)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch.nn import functional

from benchmark import (
    Batch,
    ConfigError,
    CropRequest,
    Encoder,
    LogMelEncoder,
    Method,
    MethodConfig,
    Positive,
    Step,
    Training,
    gather,
    share,
    world_size,
)
from methods._losses import triplet
from methods._slices import require_log_mel


class TripletLossConfig(MethodConfig):
    """The paper is silent on all of these."""

    margin: Positive = Field(0.1, description="by which a negative is to lie further away (chosen)")
    short: Literal["pad", "tile"] = Field("tile", description="clips shorter than a slice (chosen)")


class TripletLoss(Method):
    """Anchor and positive are two slices of a clip, the negative a slice of another clip of the batch, drawn at random.

    The batch is that of all ranks.
    """

    Config: ClassVar[type[TripletLossConfig]] = TripletLossConfig
    default_training: ClassVar[Training] = Training(optimizer="adam", lr=1e-4, batch_size=256, steps=3_000_000)
    """tagliasacchi2020 §IV."""

    config: TripletLossConfig
    encoder: LogMelEncoder

    def __init__(self, config: TripletLossConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__(config, require_log_mel(encoder, "triplet_loss"), n_classes)

    def crops(self) -> CropRequest:
        """Two independent slices."""
        return CropRequest(2, self.encoder.window, self.config.short)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Triplet loss of unit embeddings under squared distances; the margin is what equal embeddings cost."""
        clips = len(batch.waveforms) * world_size()
        if clips < 2:
            raise ConfigError("triplet_loss needs a batch of at least two clips; raise batch_size or add clips.")
        with torch.no_grad():
            patches = self.encoder.standardise(self.encoder.frontend(batch.waveforms))
        embeddings = self.encoder.embed(patches.flatten(0, 1))
        anchor, positive = functional.normalize(embeddings.float(), dim=1).unflatten(0, (-1, 2)).unbind(1)
        here = torch.arange(clips, device=anchor.device)
        further = torch.randint(1, clips, (clips,), generator=generator, device=anchor.device)
        negative = gather(positive)[share((here + further) % clips)]
        return Step(triplet(anchor, positive, negative, self.config.margin), embeddings)


METHOD = TripletLoss
