"""Baseline without weights: mean and standard deviation over time of mel-frequency cepstral coefficients."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor
from torchaudio.functional import create_dct

from benchmark import TAGLIASACCHI2020, Count, Encoder, EncoderConfig, LogMel, LogMelConfig, clip_log_mel, pool_frames


class MfccStatisticsConfig(EncoderConfig):
    """13 coefficients, hence 26 values."""

    frontend: LogMelConfig = Field(TAGLIASACCHI2020, description="of the study's encoder, for a fair comparison")
    coefficients: Count = Field(13, description="the first ones, of an orthonormal DCT-II over the mel bands")


class MfccStatistics(Encoder):
    """Mean and standard deviation over time of each coefficient."""

    Config: ClassVar[type[MfccStatisticsConfig]] = MfccStatisticsConfig
    scope: ClassVar[Literal["window", "clip"]] = "clip"
    dct: Tensor

    def __init__(self, config: MfccStatisticsConfig) -> None:
        super().__init__()
        self.frontend = LogMel(config.frontend)
        self.register_buffer(
            "dct", create_dct(config.coefficients, config.frontend.n_mels, "ortho").T, persistent=False
        )
        self.sample_rate = config.frontend.sample_rate
        self.window = 0
        self.embedding_size = 2 * config.coefficients

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Zero-padded clips ``(B, T)`` of ``lengths`` samples to ``(B, D)``."""
        frames, valid = clip_log_mel(self.frontend, waveform, lengths)
        return pool_frames(self.dct @ frames, valid, ("mean", "std"))


ENCODER = MfccStatistics
