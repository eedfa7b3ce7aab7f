"""Baseline without weights: what the length of a clip alone gives away."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from benchmark import Count, Encoder, EncoderConfig


class DurationConfig(EncoderConfig):
    """The sample rate only selects the prepared corpus."""

    sample_rate: Count = 16_000


class Duration(Encoder):
    """The clip's length in seconds."""

    Config: ClassVar[type[DurationConfig]] = DurationConfig
    scope: ClassVar[Literal["window", "clip"]] = "clip"

    def __init__(self, config: DurationConfig) -> None:
        super().__init__()
        self.sample_rate = config.sample_rate
        self.window = 0
        self.embedding_size = 1

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Zero-padded clips ``(B, T)`` of ``lengths`` samples to ``(B, 1)``."""
        if lengths is None:
            lengths = torch.full((len(waveform),), waveform.shape[-1], device=waveform.device)
        return lengths[:, None].float() / self.sample_rate


ENCODER = Duration
