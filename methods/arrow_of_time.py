"""ArrowOfTime: does a slice run forwards or backwards (tagliasacchi2020 §IV, after Wei et al. 2018)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from benchmark import (
    Batch,
    CropRequest,
    Encoder,
    LogMelEncoder,
    Method,
    MethodConfig,
    Step,
    Training,
    share,
    world_size,
)
from methods._slices import require_log_mel


class ArrowOfTimeConfig(MethodConfig):
    """The paper names no setting."""

    short: Literal["pad", "tile"] = Field("tile", description="clips shorter than a slice (the paper is silent)")


class ArrowOfTime(Method):
    """The frames of every second slice, drawn at random, are reversed; a linear layer tells which."""

    Config: ClassVar[type[ArrowOfTimeConfig]] = ArrowOfTimeConfig
    default_training: ClassVar[Training] = Training(optimizer="adam", lr=1e-4, batch_size=256, steps=3_000_000)
    """tagliasacchi2020 §IV."""

    config: ArrowOfTimeConfig
    encoder: LogMelEncoder

    def __init__(self, config: ArrowOfTimeConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__(config, require_log_mel(encoder, "arrow_of_time"), n_classes)
        self.classifier = nn.Linear(encoder.embedding_size, 1)

    def crops(self) -> CropRequest:
        """One slice."""
        return CropRequest(1, self.encoder.window, self.config.short)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Binary cross entropy; ln 2 is what guessing costs."""
        with torch.no_grad():
            patch = self.encoder.standardise(self.encoder.frontend(batch.waveforms[:, 0]))
            backwards = share(torch.rand(len(patch) * world_size(), generator=generator, device=patch.device)) < 0.5
            patch = torch.where(backwards[:, None, None], patch.flip(-1), patch)
        embeddings = self.encoder.embed(patch)
        logits = self.classifier(embeddings).float().squeeze(1)
        accuracy = ((logits.detach() > 0) == backwards).float().mean()
        loss = functional.binary_cross_entropy_with_logits(logits, backwards.float())
        return Step(loss, embeddings, {"accuracy": accuracy})


METHOD = ArrowOfTime
