"""Baseline without weights: one embedding for every clip, from which a classifier can only learn the majority class."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from benchmark import Count, Encoder, EncoderConfig


class ConstantConfig(EncoderConfig):
    """The sample rate only selects the prepared corpus."""

    sample_rate: Count = 16_000


class Constant(Encoder):
    """One for every clip."""

    Config: ClassVar[type[ConstantConfig]] = ConstantConfig
    scope: ClassVar[Literal["window", "clip"]] = "clip"

    def __init__(self, config: ConstantConfig) -> None:
        super().__init__()
        self.sample_rate = config.sample_rate
        self.window = 0
        self.embedding_size = 1

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Clips ``(B, T)`` to ``(B, 1)`` ones."""
        return waveform.new_ones(len(waveform), 1)


ENCODER = Constant
