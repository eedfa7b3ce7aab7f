"""Audio2Vec, CBoW: a slice is reconstructed from the slices before and after it (tagliasacchi2020 §III)."""

from __future__ import annotations

from typing import ClassVar

import torch

from benchmark import Batch, CropRequest, Encoder, LogMelEncoder, Method, Step, Training
from methods._decoder import Decoder
from methods._slices import Audio2VecConfig, context_crop, reconstruction_loss, require_log_mel, standardised_slices


class Audio2VecCbow(Method):
    """The embeddings of P past and P future slices, concatenated and decoded."""

    Config: ClassVar[type[Audio2VecConfig]] = Audio2VecConfig
    default_training: ClassVar[Training] = Training(optimizer="adam", lr=1e-3, batch_size=256, steps=3_000_000)
    """tagliasacchi2020 §IV."""

    config: Audio2VecConfig
    encoder: LogMelEncoder

    def __init__(self, config: Audio2VecConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__(config, require_log_mel(encoder, "audio2vec_cbow"), n_classes)
        self.decoder = Decoder(encoder, 2 * config.context * encoder.embedding_size, 1, config.decoder)

    def crops(self) -> CropRequest:
        """The target with its context."""
        return context_crop(self.encoder, self.config)

    def windows(self) -> int:
        """The context's slices, and the decoder."""
        return 2 * self.config.context + 1

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Mean squared error of the middle slice."""
        found = standardised_slices(self.encoder, batch.waveforms[:, 0], self.config.gap)
        middle = self.config.context
        around = torch.cat([found[:, :middle], found[:, middle + 1 :]], dim=1)
        embeddings = self.encoder.embed(around.flatten(0, 1))
        decoded = self.decoder(embeddings.unflatten(0, around.shape[:2]).flatten(1))
        return Step(reconstruction_loss(decoded, found[:, middle : middle + 1]), embeddings)


METHOD = Audio2VecCbow
