"""Audio2Vec, skip-gram: the slices before and after a slice are reconstructed from it (tagliasacchi2020 §III)."""

from __future__ import annotations

from typing import ClassVar

import torch

from benchmark import Batch, CropRequest, Encoder, LogMelEncoder, Method, Step, Training
from methods._decoder import Decoder
from methods._slices import Audio2VecConfig, context_crop, reconstruction_loss, require_log_mel, standardised_slices


class Audio2VecSkipgram(Method):
    """The middle slice's embedding decoded into P past and P future slices: 2P channels of the last layer."""

    Config: ClassVar[type[Audio2VecConfig]] = Audio2VecConfig
    default_training: ClassVar[Training] = Training(optimizer="adam", lr=1e-3, batch_size=256, steps=3_000_000)
    """tagliasacchi2020 §IV."""

    config: Audio2VecConfig
    encoder: LogMelEncoder

    def __init__(self, config: Audio2VecConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__(config, require_log_mel(encoder, "audio2vec_skipgram"), n_classes)
        self.decoder = Decoder(encoder, encoder.embedding_size, 2 * config.context, config.decoder)

    def crops(self) -> CropRequest:
        """The slice with what surrounds it."""
        return context_crop(self.encoder, self.config)

    def windows(self) -> int:
        """One slice, and the decoder."""
        return 2

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Mean squared error over the surrounding slices."""
        found = standardised_slices(self.encoder, batch.waveforms[:, 0], self.config.gap)
        middle = self.config.context
        around = torch.cat([found[:, :middle], found[:, middle + 1 :]], dim=1)
        embeddings = self.encoder.embed(found[:, middle])
        return Step(reconstruction_loss(self.decoder(embeddings), around), embeddings)


METHOD = Audio2VecSkipgram
