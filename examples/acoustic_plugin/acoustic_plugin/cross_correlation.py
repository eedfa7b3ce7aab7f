"""Cross-correlation of two crops towards the identity (Barlow Twins, Zbontar et al. 2021, section 2)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from acoustic_plugin import _losses
from benchmark import (
    Batch,
    Count,
    CropRequest,
    Encoder,
    Method,
    MethodConfig,
    Positive,
    Step,
    Training,
    random_gain,
)


class CrossCorrelationConfig(MethodConfig):
    """What differs from the paper is chosen."""

    projection: Count = Field(256, description="units of both layers of the projector (8192 in the paper)")
    weight: Positive = Field(0.005, description="lambda (section 3)")
    gain_db: Positive = Field(6.0, description="scale each crop by up to so many decibels (chosen)")


class CrossCorrelation(Method):
    """Two crops of each clip through encoder and projector; dimensions agree between them and share nothing else."""

    Config: ClassVar[type[CrossCorrelationConfig]] = CrossCorrelationConfig
    default_training: ClassVar[Training] = Training(optimizer="adam", lr=1e-3, batch_size=256, steps=10_000)

    config: CrossCorrelationConfig

    def __init__(self, config: CrossCorrelationConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__(config, encoder, n_classes)
        self.projector = nn.Sequential(
            nn.Linear(encoder.embedding_size, config.projection),
            nn.BatchNorm1d(config.projection),
            nn.ReLU(),
            nn.Linear(config.projection, config.projection),
        )

    def crops(self) -> CropRequest:
        """Two independent crops of the encoder's window."""
        return CropRequest(2, self.encoder.window, "tile")

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Redundancy reduction between the two crops of each clip."""
        waveforms = random_gain(batch.waveforms, generator, decibels=self.config.gain_db)
        embeddings = self.encoder(waveforms.transpose(0, 1).flatten(0, 1))
        first, second = self.projector(embeddings).float().chunk(2)
        return Step(_losses.redundancy(first, second, self.config.weight), embeddings)


METHOD = CrossCorrelation
