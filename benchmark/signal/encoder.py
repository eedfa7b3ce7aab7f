"""Encoders: waveforms to embeddings. A network, its front-end and its input statistics travel as one module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from benchmark.config import EncoderConfig
from benchmark.signal.frontend import LogMel, LogMelConfig


class Encoder(nn.Module, ABC):
    """Base of every encoder.

    A module in ``methods/encoders/`` exposes its class as ``ENCODER``; the module's name is the encoder's id. The class
    states its configuration as ``Config`` and is built as ``ENCODER(ENCODER.Config())``.
    """

    Config: ClassVar[type[EncoderConfig]] = EncoderConfig
    scope: ClassVar[Literal["window", "clip"]] = "window"
    """``window``: sees windows of ``window`` samples; ``clip``: sees whole clips, zero-padded, with their lengths."""

    sample_rate: int
    window: int
    """Samples of one input window (0 for scope ``clip``)."""
    embedding_size: int

    @abstractmethod
    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Embed a batch.

        Args:
            waveform: ``(B, T)`` float32 in [-1, 1] at ``sample_rate``.
            lengths: ``(B,)`` int64 valid samples; None where every sample is valid.

        Returns:
            ``(B, D)`` float32 embeddings h.
        """

    def blocks(self) -> list[nn.Module]:
        """What fine-tuning freezes and scales layer by layer, from input to output.

        By default the children that have parameters, a sequence counting for its own children; a network whose layers
        belong together says so itself. Parameters outside of all blocks go with the first.
        """
        unrolled = [
            module
            for child in self.children()
            for module in (child.children() if isinstance(child, nn.Sequential) else [child])
        ]
        return [module for module in unrolled if any(True for _ in module.parameters())]

    def __call__(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Typed pass-through to :meth:`forward`."""
        return cast(Tensor, super().__call__(waveform, lengths))


class LogMelEncoderConfig(EncoderConfig):
    """Configuration shared by encoders of log-mel patches."""

    frontend: LogMelConfig
    frames: int
    """Frames of one input patch."""


class LogMelEncoder(Encoder):
    """An encoder of log-mel patches, standardised with one mean and one standard deviation of the training data."""

    Config: ClassVar[type[EncoderConfig]] = LogMelEncoderConfig
    config: LogMelEncoderConfig
    frames: int
    """Frames of one input patch."""
    input_mean: Tensor
    input_std: Tensor

    def __init__(self, config: LogMelEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.frontend = LogMel(config.frontend)
        self.sample_rate = config.frontend.sample_rate
        self.frames = config.frames
        self.window = self.frontend.samples(config.frames)
        self.register_buffer("input_mean", torch.zeros(()))
        self.register_buffer("input_std", torch.ones(()))

    @abstractmethod
    def embed(self, patch: Tensor) -> Tensor:
        """Embed standardised log-mel patches ``(B, F, N)`` as ``(B, D)``."""

    def standardise(self, patch: Tensor) -> Tensor:
        """Log-mel to zero mean and unit variance under the statistics of the training data."""
        return (patch - self.input_mean) / self.input_std

    @torch.no_grad()
    def fit_input(self, waveform: Tensor) -> None:
        """Set the input statistics from a representative batch ``(B, T)`` of training crops."""
        patch = self.frontend(waveform).double()
        self.input_mean.copy_(patch.mean())
        self.input_std.copy_(patch.std().clamp_min(1e-4))

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Embed waveforms ``(B, T)`` as ``(B, D)``; see :class:`Encoder`."""
        return self.embed(self.standardise(self.frontend(waveform)))
