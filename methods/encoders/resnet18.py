"""ResNet-18 on log-mel patches, as fonseca2021 §3.2 uses it."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from benchmark import FONSECA2021, Count, LogMelConfig, LogMelEncoder, LogMelEncoderConfig

CHANNELS = (64, 128, 256, 512)
"""Channels of the four stages of two blocks each."""


class ResNet18Config(LogMelEncoderConfig):
    """Published: 11,170,240 weights without classifier at width 1."""

    frontend: LogMelConfig = Field(FONSECA2021, description="fonseca2021 §2 and released code")
    frames: Count = Field(101, description="1 s (§2)")


_FEW = 16
"""Channels below which a strided 1 x 1 convolution is not left to oneDNN."""


class _Pointwise(nn.Conv2d):
    """A strided 1 x 1 convolution, as an unstrided one of the pixels that it sees.

    Of fewer than 16 channels (8 without AVX-512) oneDNN's weight gradient of the strided one writes past its buffer, as its issue
    6035 says: the gradient is wrong, the process crashes, or its threads wait for each other for ever.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__(before, after, 1, bias=False)
        self.every = stride

    def forward(self, image: Tensor) -> Tensor:
        """``(B, before, H, W)`` to ``(B, after, H / stride, W / stride)``."""
        return super().forward(image[..., :: self.every, :: self.every])


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, which is projected where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            strided = (
                _Pointwise(before, after, stride) if before < _FEW else nn.Conv2d(before, after, 1, stride, bias=False)
            )
            self.shortcut = nn.Sequential(strided, nn.BatchNorm2d(after))

    def forward(self, image: Tensor) -> Tensor:
        """``(B, before, H, W)`` to ``(B, after, H / stride, W / stride)``."""
        total: Tensor = self.residual(image) + self.shortcut(image)
        return total.relu_()


class ResNet18(LogMelEncoder):
    """He et al. 2016, table 1 (as torchvision lays it out), with one input channel; h is the global average."""

    Config: ClassVar[type[ResNet18Config]] = ResNet18Config

    def __init__(self, config: ResNet18Config) -> None:
        super().__init__(config)
        channels = [max(1, round(count * config.width)) for count in CHANNELS]
        layers: list[nn.Module] = [
            nn.Conv2d(1, channels[0], 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(channels[0]),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        for stage, (before, after) in enumerate(zip([channels[0], *channels], channels, strict=False)):
            layers += [BasicBlock(before, after, 2 if stage else 1), BasicBlock(after, after, 1)]
        self.layers = nn.Sequential(*layers)
        self.embedding_size = channels[-1]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        convert_conv2d_weight_memory_format(self, torch.channels_last)  # faster on CPUs and on GPUs

    def blocks(self) -> list[nn.Module]:
        """The stem and the eight residual blocks."""
        return [self.layers[:4], *self.layers[4:].children()]

    def feature_map(self, patch: Tensor) -> Tensor:
        """Standardised log-mels ``(B, F, N)`` to ``(B, D, ceil(N / 32), ceil(F / 32))``; time runs down the image."""
        features: Tensor = self.layers(patch.transpose(1, 2).unsqueeze(1))
        return features

    def embed(self, patch: Tensor) -> Tensor:
        """Standardised log-mels ``(B, F, N)`` to ``(B, D)``."""
        return self.feature_map(patch).float().mean(dim=(2, 3))


ENCODER = ResNet18
