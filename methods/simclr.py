"""SimCLR with mix-back: two views of a clip find each other among the views of the batch (fonseca2021 §2)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from benchmark import (
    Batch,
    Config,
    ConfigError,
    Count,
    CropRequest,
    Encoder,
    Fraction,
    LogMelEncoder,
    Method,
    MethodConfig,
    Positive,
    Step,
    Training,
    gather,
    mix_back,
    random_compression,
    random_gain,
    random_noise,
    random_resized_crop,
)
from methods._losses import nt_xent

Level = Annotated[float, Field(ge=0.0)]


class MixBack(Config):
    """Mixing each view with another clip."""

    alpha: Fraction = Field(0.05, description="upper end of the mixing weight (§4.2); 0 is off")
    adjust_energy: bool = Field(True, description="bring the background to the foreground's energy (equation 1)")


class ResizedCrop(Config):
    """Stretching a random crop of the patch."""

    enabled: bool = True
    area: tuple[Fraction, Fraction] = Field((0.8, 1.0), description="share of the patch (released code)")
    aspect: tuple[Positive, Positive] = Field((3 / 4, 4 / 3), description="bands over frames (released code)")
    relative: bool = Field(False, description="aspect is relative to the patch's own: for patches far from square")


class SimclrConfig(MethodConfig):
    """The published augmentations are mix-back, resized crop, compression and noise, in this order (§4.2, §4.3)."""

    gain_db: Level = Field(0.0, description="scale each view by up to so many decibels either way; 0 is off")
    mix_back: MixBack = Field(default_factory=MixBack)
    resized_crop: ResizedCrop = Field(default_factory=ResizedCrop)
    compression: Fraction = Field(0.75, description="multiply log-mels by U(this, 1) (released code); 1 is off")
    noise: Level = Field(0.01, description="highest standard deviation of noise on log-mels (released code); 0 is off")
    hidden: Count = Field(512, description="units of the projection head's hidden layer (released code)")
    projection: Count = Field(512, description="size of z (released code)")
    temperature: Positive = Field(0.2, description="(§4.4)")
    batchnorm: Literal["per_view", "joint"] = Field(
        "per_view", description="batch-norm statistics of each view by itself (two passes, released code), or of both"
    )
    short: Literal["pad", "tile"] = Field("tile", description="clips shorter than a crop are repeated (§3.2)")


class Simclr(Method):
    """Two random crops of each clip, mixed back and augmented, through encoder and projection head; NT-Xent."""

    Config: ClassVar[type[SimclrConfig]] = SimclrConfig
    default_training: ClassVar[Training] = Training(
        optimizer="sgd",
        lr=0.03,
        momentum=0.9,
        weight_decay=1e-4,
        batch_size=128,
        epochs=500,
        schedule="multistep",
        milestones=(0.65, 0.85),
        gamma=0.1,
    )
    """fonseca2021 §3.2 and released code: 500 epochs, the learning rate divided by ten after 325 and 425."""

    config: SimclrConfig
    encoder: LogMelEncoder

    def __init__(self, config: SimclrConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        if not isinstance(encoder, LogMelEncoder):
            raise ConfigError(f"simclr needs an encoder of log-mels, and {type(encoder).__name__} reads none.")
        super().__init__(config, encoder, n_classes)
        self.projector = nn.Sequential(
            nn.Linear(encoder.embedding_size, config.hidden),
            nn.BatchNorm1d(config.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(config.hidden, config.projection),
        )

    def crops(self) -> CropRequest:
        """Two independent crops of the encoder's window; they may overlap (released code)."""
        return CropRequest(2, self.encoder.window, self.config.short)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """NT-Xent of the two views of the batch of all ranks."""
        views, logs = self.views(batch.waveforms, generator)
        clips = len(views)
        if self.config.batchnorm == "per_view":
            embeddings = torch.cat([self.encoder.embed(views[:, view]) for view in (0, 1)])
            first, second = (self.projector(part) for part in embeddings.split(clips))
        else:
            embeddings = self.encoder.embed(views.transpose(0, 1).flatten(0, 1))
            first, second = self.projector(embeddings).split(clips)
        return Step(nt_xent(gather(first), gather(second), self.config.temperature), embeddings[:clips], logs)

    @torch.no_grad()
    def views(self, waveforms: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Standardised, augmented log-mels ``(B, 2, F, N)`` of crops ``(B, 2, T)``; and what mix-back had to redraw."""
        config, logs = self.config, {}
        if config.gain_db:
            waveforms = random_gain(waveforms, generator, decibels=config.gain_db)
        patches = self.encoder.frontend(waveforms)
        if (mix := config.mix_back).alpha:
            mixed = mix_back(patches, self.encoder.frontend, mix.alpha, generator, adjust_energy=mix.adjust_energy)
            patches = mixed.patches
            logs = {"silent_backgrounds_redrawn": mixed.redrawn, "views_not_mixed": mixed.unmixed}
        if (crop := config.resized_crop).enabled:
            own = patches.shape[-2] / patches.shape[-1] if crop.relative else 1.0
            aspect = (crop.aspect[0] * own, crop.aspect[1] * own)
            patches = random_resized_crop(patches, generator, area=crop.area, aspect=aspect)
        if config.compression < 1.0:
            patches = random_compression(patches, generator, low=config.compression)
        if config.noise:
            patches = random_noise(patches, generator, sigma=config.noise)
        return self.encoder.standardise(patches), logs


METHOD = Simclr
