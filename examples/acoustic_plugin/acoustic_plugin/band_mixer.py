"""Two layers that mix the log-mel bands of each frame, and the mean and maximum over time: small and fast."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from benchmark import TAGLIASACCHI2020, Count, LogMelConfig, LogMelEncoder, LogMelEncoderConfig

HIDDEN = 256


class BandMixerConfig(LogMelEncoderConfig):
    """``width`` scales the 256 channels."""

    frontend: LogMelConfig = Field(TAGLIASACCHI2020, description="64 bands at 16 kHz")
    frames: Count = Field(96, description="975 ms")
    kernel: Count = Field(3, description="frames that the first layer sees; odd")


class BandMixer(LogMelEncoder):
    """[Convolution over time, batch-norm, ReLU] twice, the second seeing one frame; mean beside maximum over time."""

    Config: ClassVar[type[BandMixerConfig]] = BandMixerConfig

    def __init__(self, config: BandMixerConfig) -> None:
        super().__init__(config)
        channels = max(1, round(HIDDEN * config.width))
        self.layers = nn.Sequential(
            nn.Conv1d(config.frontend.n_mels, channels, config.kernel, padding=config.kernel // 2, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 1, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
        )
        self.embedding_size = 2 * channels

    def embed(self, patch: Tensor) -> Tensor:
        """Standardised log-mels ``(B, F, N)`` to ``(B, D)``."""
        frames = self.layers(patch)
        return torch.cat([frames.mean(dim=-1), frames.amax(dim=-1)], dim=1).float()


ENCODER = BandMixer
