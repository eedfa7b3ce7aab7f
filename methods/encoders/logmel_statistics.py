"""Baseline without weights: how the log-mels of a whole clip are distributed in time."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from benchmark import TAGLIASACCHI2020, Encoder, EncoderConfig, LogMel, LogMelConfig, clip_log_mel, pool_frames


class LogMelStatisticsConfig(EncoderConfig):
    """64 mels, hence 256 values."""

    frontend: LogMelConfig = Field(TAGLIASACCHI2020, description="of the study's encoder, for a fair comparison")


class LogMelStatistics(Encoder):
    """Mean, standard deviation, maximum and mean absolute difference over time of each mel band."""

    Config: ClassVar[type[LogMelStatisticsConfig]] = LogMelStatisticsConfig
    scope: ClassVar[Literal["window", "clip"]] = "clip"

    def __init__(self, config: LogMelStatisticsConfig) -> None:
        super().__init__()
        self.frontend = LogMel(config.frontend)
        self.sample_rate = config.frontend.sample_rate
        self.window = 0
        self.embedding_size = 4 * config.frontend.n_mels

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Zero-padded clips ``(B, T)`` of ``lengths`` samples to ``(B, D)``."""
        frames, valid = clip_log_mel(self.frontend, waveform, lengths)
        return pool_frames(frames, valid, ("mean", "std", "max", "mean_abs_difference"))


ENCODER = LogMelStatistics
