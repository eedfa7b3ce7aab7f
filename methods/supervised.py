"""Supervised training from scratch: encoder and linear classifier with a task's labels (tagliasacchi2020 §IV)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from benchmark import (
    Batch,
    ConfigError,
    CropRequest,
    Encoder,
    Fraction,
    LogMelEncoder,
    Method,
    MethodConfig,
    Step,
    Training,
    mix_back,
    random_gain,
)


class SupervisedConfig(MethodConfig):
    """Published without augmentation."""

    gain_db: Annotated[float, Field(ge=0.0)] = Field(0.0, description="scale crops by up to so many decibels; 0 is off")
    mix: Fraction = Field(0.0, description="mix in other clips, label kept, with a weight up to this; 0 is off")
    short: Literal["pad", "tile"] = Field("tile", description="clips shorter than a crop (the paper is silent)")


class Supervised(Method):
    """One random crop a clip; cross entropy of a linear classifier on the embedding.

    Where a clip has any number of classes, the mean over classes of their binary cross entropies (srivastava2022 trains so).
    """

    Config: ClassVar[type[SupervisedConfig]] = SupervisedConfig
    default_training: ClassVar[Training] = Training(optimizer="adam", lr=1e-4, batch_size=256, steps=100_000)
    """tagliasacchi2020 §IV: Adam, 1e-4, 100,000 steps; the batch of 256 is its pre-training's."""
    needs_labels: ClassVar[bool] = True

    config: SupervisedConfig

    def __init__(self, config: SupervisedConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        if n_classes is None:
            raise ConfigError("supervised needs a task's labels; set the run's `task`.")
        if config.mix and not isinstance(encoder, LogMelEncoder):
            raise ConfigError(f"supervised mixes log-mels, which {type(encoder).__name__} does not read; set mix to 0.")
        super().__init__(config, encoder, n_classes)
        self.classifier = nn.Linear(encoder.embedding_size, n_classes)

    def crops(self) -> CropRequest:
        """One crop of the encoder's window."""
        return CropRequest(1, self.encoder.window, self.config.short)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Cross entropy of the batch; collapse is not watched, as two classes may well lie on a line."""
        assert batch.labels is not None
        logits = self.classifier(self._embed(batch, generator)).float()
        if batch.labels.ndim == 2:
            return Step(functional.binary_cross_entropy_with_logits(logits, batch.labels.float()))
        accuracy = (logits.detach().argmax(dim=1) == batch.labels).float().mean()
        return Step(functional.cross_entropy(logits, batch.labels), logs={"accuracy": accuracy})

    def head(self) -> nn.Linear:
        """The classifier."""
        return self.classifier

    def _embed(self, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        waveforms = batch.waveforms[:, 0]
        if self.config.gain_db:
            waveforms = random_gain(waveforms, generator, decibels=self.config.gain_db)
        if not self.config.mix:
            return self.encoder(waveforms)
        assert isinstance(self.encoder, LogMelEncoder)
        frontend = self.encoder.frontend
        mixed = mix_back(frontend(waveforms[:, None]), frontend, self.config.mix, generator)
        return self.encoder.embed(self.encoder.standardise(mixed.patches[:, 0]))


METHOD = Supervised
