"""The VGG-like network of fonseca2021 §3.2, as its released code builds it."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from benchmark import FONSECA2021, Count, LogMelConfig, LogMelEncoder, LogMelEncoderConfig

BLOCKS = ((32, 3), (64, 2), (128, 1))
"""Channels and 3x3 layers of each block, which 2x2 max-pooling ends."""


class VggLikeConfig(LogMelEncoderConfig):
    """Published: 280,032 weights at width 1, 290,292 with a classifier of 20 classes."""

    frontend: LogMelConfig = Field(FONSECA2021, description="fonseca2021 §2 and released code")
    frames: Count = Field(101, description="1 s (§2)")
    embedding_size: Count = Field(512, description="units of the fully connected layer, whose output is h")


class VggLike(LogMelEncoder):
    """Three blocks of [3x3 convolution, batch-norm, ReLU]; global maximum beside global mean; linear layer and ReLU."""

    Config: ClassVar[type[VggLikeConfig]] = VggLikeConfig

    def __init__(self, config: VggLikeConfig) -> None:
        super().__init__(config)
        layers: list[nn.Module] = []
        before = 1
        for published, depth in BLOCKS:
            after = max(1, round(published * config.width))
            for _ in range(depth):
                layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
                before = after
            layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers)
        self.embedding_size = max(1, round(config.embedding_size * config.width))
        self.output = nn.Sequential(nn.Linear(2 * before, self.embedding_size), nn.ReLU(True))
        convert_conv2d_weight_memory_format(self, torch.channels_last)  # faster on CPUs and on GPUs

    def blocks(self) -> list[nn.Module]:
        """What lies between the poolings, and what follows them."""
        ends = [place + 1 for place, layer in enumerate(self.layers) if isinstance(layer, nn.MaxPool2d)]
        return [*(self.layers[start:end] for start, end in pairwise([0, *ends])), self.output]

    def embed(self, patch: Tensor) -> Tensor:
        """Standardised log-mels ``(B, F, N)`` to ``(B, D)``."""
        features = self.layers(patch.transpose(1, 2).unsqueeze(1))
        pooled = torch.cat([features.amax(dim=(2, 3)), features.mean(dim=(2, 3))], dim=1)
        embedding: Tensor = self.output(pooled)
        return embedding.float()


ENCODER = VggLike
