"""The convolutional recurrent network of fonseca2021 §3.2, as its released code builds it."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from benchmark import FONSECA2021, Count, LogMelConfig, LogMelEncoder, LogMelEncoderConfig

CHANNELS = 128
POOLS = ((2, 5), (2, 4), (2, 2))
"""Frames and bands that max-pooling joins after each of the three 5x5 layers."""
HIDDEN = 64
"""Units of the recurrent layer in each direction."""


class CrnnConfig(LogMelEncoderConfig):
    """Published: 946,816 weights at width 1, 948,116 with a classifier of 20 classes."""

    frontend: LogMelConfig = Field(FONSECA2021, description="fonseca2021 §2 and released code")
    frames: Count = Field(101, description="1 s (§2)")


class Crnn(LogMelEncoder):
    """Three [5x5 convolution, batch-norm, ReLU, max-pooling], then a bidirectional GRU over time.

    h is the product of both directions at the last time step (released code), where the backward one has seen one frame.
    """

    Config: ClassVar[type[CrnnConfig]] = CrnnConfig

    def __init__(self, config: CrnnConfig) -> None:
        super().__init__(config)
        channels = max(1, round(CHANNELS * config.width))
        layers: list[nn.Module] = []
        bands, before = config.frontend.n_mels, 1
        for pool in POOLS:
            layers += [nn.Conv2d(before, channels, 5, padding=2, bias=False), nn.BatchNorm2d(channels), nn.ReLU(True)]
            layers.append(nn.MaxPool2d(pool))
            bands, before = bands // pool[1], channels
        self.layers = nn.Sequential(*layers)
        self.embedding_size = max(1, round(HIDDEN * config.width))
        self.recurrent = nn.GRU(bands * channels, self.embedding_size, batch_first=True, bidirectional=True)
        convert_conv2d_weight_memory_format(self, torch.channels_last)  # faster on CPUs and on GPUs

    def blocks(self) -> list[nn.Module]:
        """What lies between the poolings, and what follows them."""
        ends = [place + 1 for place, layer in enumerate(self.layers) if isinstance(layer, nn.MaxPool2d)]
        return [*(self.layers[start:end] for start, end in pairwise([0, *ends])), self.recurrent]

    def embed(self, patch: Tensor) -> Tensor:
        """Standardised log-mels ``(B, F, N)`` to ``(B, D)``."""
        features = self.layers(patch.transpose(1, 2).unsqueeze(1))
        steps = features.permute(0, 2, 3, 1).flatten(2)  # (B, time, bands x channels), bands first (released code)
        outputs, _ = self.recurrent(steps)
        forwards, backwards = outputs[:, -1].unflatten(1, (2, -1)).unbind(1)
        embedding: Tensor = forwards * backwards
        return embedding.float()


ENCODER = Crnn
