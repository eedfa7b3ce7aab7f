"""AutoEncoder: a slice is reconstructed from its own embedding (tagliasacchi2020 §IV)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from benchmark import Batch, CropRequest, Encoder, LogMelEncoder, Method, MethodConfig, Step, Training
from methods._decoder import Decoder, Start
from methods._slices import reconstruction_loss, require_log_mel


class AutoEncoderConfig(MethodConfig):
    """The decoder is that of Audio2Vec."""

    decoder: Start = Field("expand", description="how the mirror of the global pooling begins (the paper is silent)")
    short: Literal["pad", "tile"] = Field("tile", description="clips shorter than a slice (the paper is silent)")


class AutoEncoder(Method):
    """One random slice a clip through encoder and decoder."""

    Config: ClassVar[type[AutoEncoderConfig]] = AutoEncoderConfig
    default_training: ClassVar[Training] = Training(optimizer="adam", lr=1e-3, batch_size=256, steps=3_000_000)
    """tagliasacchi2020 §IV."""

    config: AutoEncoderConfig
    encoder: LogMelEncoder

    def __init__(self, config: AutoEncoderConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__(config, require_log_mel(encoder, "autoencoder"), n_classes)
        self.decoder = Decoder(encoder, encoder.embedding_size, 1, config.decoder)

    def crops(self) -> CropRequest:
        """One slice."""
        return CropRequest(1, self.encoder.window, self.config.short)

    def windows(self) -> int:
        """One slice, and the decoder."""
        return 2

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Mean squared error of the slice."""
        with torch.no_grad():
            patch = self.encoder.standardise(self.encoder.frontend(batch.waveforms[:, 0]))
        embeddings = self.encoder.embed(patch)
        return Step(reconstruction_loss(self.decoder(embeddings), patch[:, None]), embeddings)


METHOD = AutoEncoder
