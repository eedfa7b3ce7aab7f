"""The six-layer convolutional encoder of tagliasacchi2020 §IV."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from benchmark import TAGLIASACCHI2020, Count, LogMelConfig, LogMelEncoder, LogMelEncoderConfig

CHANNELS = (64, 128, 256, 256, 512, 512)
"""Channels of the six 3x3 layers (§IV)."""


class TagliasacchiCnnConfig(LogMelEncoderConfig):
    """Published: 4,567,104 weights at width 1."""

    frontend: LogMelConfig = Field(TAGLIASACCHI2020, description="tagliasacchi2020 §IV")
    frames: Count = Field(96, description="975 ms (§IV)")
    embedding: Literal["linear", "pooled"] = Field(
        "linear", description="linear: as published; pooled: the max-pooled channels, without the fully connected layer"
    )
    embedding_size: Count = Field(128, description="d, outputs of the fully connected layer (§IV)")


class TagliasacchiCnn(LogMelEncoder):
    """Six times [3x3 convolution, batch-norm, ReLU], 2x2 max-pooling where the next layer is wider, global max, linear.

    The paper is silent on the order of batch-norm and ReLU (chosen: this one) and on a bias of the convolutions (none).
    """

    Config: ClassVar[type[TagliasacchiCnnConfig]] = TagliasacchiCnnConfig
    config: TagliasacchiCnnConfig

    def __init__(self, config: TagliasacchiCnnConfig) -> None:
        super().__init__(config)
        self.channels = channels = [max(1, round(count * config.width)) for count in CHANNELS]
        widens = [after > before for before, after in pairwise(CHANNELS)] + [False]
        blocks = [_block(*sizes) for sizes in zip([1, *channels], channels, widens, strict=False)]
        self.layers = nn.Sequential(*blocks)
        self.output: nn.Module = nn.Identity()
        self.embedding_size = channels[-1]
        if config.embedding == "linear":
            self.output = nn.Linear(channels[-1], config.embedding_size)
            self.embedding_size = config.embedding_size
        convert_conv2d_weight_memory_format(self, torch.channels_last)  # faster on CPUs and on GPUs

    def embed(self, patch: Tensor) -> Tensor:
        """Standardised log-mels ``(B, F, N)`` to ``(B, D)``; the image is N x F, as the paper's slices."""
        image = patch.transpose(1, 2).unsqueeze(1)
        pooled: Tensor = self.layers(image).amax(dim=(2, 3))
        embedding: Tensor = self.output(pooled)
        return embedding.float()


def _block(before: int, after: int, pool: bool) -> nn.Sequential:
    """ReLU and max-pooling commute exactly; pooling first leaves ReLU a quarter of the work."""
    layers = [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []), nn.ReLU(inplace=True))


ENCODER = TagliasacchiCnn
