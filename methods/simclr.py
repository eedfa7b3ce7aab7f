"""SimCLR with mix-back: two views of a clip find each other among the views of the batch (fonseca2021 §2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from benchmark import (
    Batch,
    Config,
    ConfigError,
    Count,
    CropRequest,
    Encoder,
    FixedDistance,
    Fraction,
    LogMelEncoder,
    Method,
    MethodConfig,
    Positive,
    ProjectionHead,
    Step,
    Training,
    gather,
    mix_back,
    random_blur,
    random_compression,
    random_frequency_shift,
    random_gain,
    random_masks,
    random_noise,
    random_resized_crop,
    random_time_reversal,
    random_time_shift,
)
from methods._losses import nt_xent

Level = Annotated[float, Field(ge=0.0)]
Distance = Annotated[int, Field(ge=0)]
Augmentation = Literal[
    "time_shift", "frequency_shift", "resized_crop", "time_reversal", "compression", "masks", "noise", "blur"
]


class MixBack(Config):
    """Mixing each view with another clip."""

    alpha: Fraction = Field(0.05, description="upper end of the mixing weight (§4.2); 0 is off")
    adjust_energy: bool = Field(True, description="bring the background to the foreground's energy (equation 1)")


class ResizedCrop(Config):
    """Stretching a random crop of the patch."""

    area: tuple[Fraction, Fraction] = Field((0.8, 1.0), description="share of the patch (released code)")
    aspect: tuple[Positive, Positive] = Field((3 / 4, 4 / 3), description="bands over frames (released code)")
    relative: bool = Field(False, description="aspect is relative to the patch's own: for patches far from square")


class Masks(Config):
    """SpecAugment without warping: stripes at the patch's minimum."""

    count: Count = Field(2, description="stripes of bands, and as many of frames (released code)")
    bands: Count = Field(20, description="widths are below this (released code)")
    frames: Count = Field(20, description="widths are below this (released code)")


class SimclrConfig(MethodConfig):
    """The published views are two random patches, mixed back, then augmented by the policy (§4.1 to §4.3)."""

    distance: Distance | None = Field(
        None, description="frames between the starts of the two patches, bounded by the clip (§4.1); None: independent"
    )
    gain_db: Level = Field(0.0, description="scale each view by up to so many decibels either way; 0 is off")
    mix_back: MixBack = Field(default_factory=MixBack)
    policy: tuple[Augmentation, ...] = Field(
        ("resized_crop", "compression", "noise"), description="applied in this order (§4.3); each view by itself"
    )
    resized_crop: ResizedCrop = Field(default_factory=ResizedCrop)
    compression: Fraction = Field(0.75, description="multiply log-mels by U(this, 1) (released code)")
    noise: Level = Field(0.01, description="highest standard deviation of noise on log-mels (released code)")
    masks: Masks = Field(default_factory=Masks)
    time_shift: Count = Field(29, description="rotate by up to so many frames (released code: 1 to 29, one way)")
    frequency_shift: Count = Field(9, description="rotate upwards by 1 to so many bands (released code)")
    blur: Count = Field(5, description="largest size of the blur's kernel, odd (released code's default)")
    head: Literal["mlp", "linear"] = Field("mlp", description="with one hidden layer (§2), or without")
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
        hidden = (config.hidden,) if config.head == "mlp" else ()
        self.projector = ProjectionHead(encoder.embedding_size, hidden, config.projection)

    def projection(self) -> ProjectionHead:
        """What gives z (§3.3)."""
        return self.projector

    def crops(self) -> CropRequest:
        """Two crops of the encoder's window: independent, so that they may overlap (released code), or at a distance."""
        request = CropRequest(2, self.encoder.window, self.config.short)
        if self.config.distance is None:
            return request
        hop = self.encoder.frontend.config.hop
        return replace(request, starts=FixedDistance(self.config.distance * hop))

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
        for name in config.policy:
            patches = self._augmented(name, patches, generator)
        return self.encoder.standardise(patches), logs

    def _augmented(self, name: Augmentation, patches: Tensor, generator: torch.Generator) -> Tensor:
        """One augmentation of log-mels ``(B, 2, F, N)``."""
        config = self.config
        match name:
            case "time_shift":
                return random_time_shift(patches, generator, max_frames=config.time_shift)
            case "frequency_shift":
                return random_frequency_shift(patches, generator, max_bands=config.frequency_shift)
            case "resized_crop":
                crop = config.resized_crop
                own = patches.shape[-2] / patches.shape[-1] if crop.relative else 1.0
                aspect = (crop.aspect[0] * own, crop.aspect[1] * own)
                return random_resized_crop(patches, generator, area=crop.area, aspect=aspect)
            case "time_reversal":
                return random_time_reversal(patches, generator)
            case "compression":
                return random_compression(patches, generator, low=config.compression)
            case "masks":
                masks = config.masks
                return random_masks(
                    patches, generator, masks=masks.count, max_bands=masks.bands, max_frames=masks.frames
                )
            case "noise":
                return random_noise(patches, generator, sigma=config.noise)
            case "blur":
                return random_blur(patches, generator, max_size=config.blur)


METHOD = Simclr
