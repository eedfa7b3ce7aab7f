"""The decoder of tagliasacchi2020 §III: the encoder's layers mirrored, max-pooling replaced by nearest-neighbour upsampling."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from benchmark import ConfigError, Encoder
from methods.encoders.tagliasacchi_cnn import TagliasacchiCnn

Start = Literal["expand", "broadcast"]
"""How the mirror of the global max-pooling begins, which the paper leaves open. ``expand``: a fully connected layer gives
every place of the smallest map its own values (with more weights than the encoder has). ``broadcast``: the literal
reading, one vector repeated over the map, in which only zero-padding tells the places apart."""

UPSAMPLED = (1, 3, 4)
"""Layers, counted from 0, whose output is doubled in both directions: the mirror of pooling after layers 1, 2 and 4."""
SHRINKAGE = 8
"""Three poolings."""


class Decoder(nn.Module):
    """Six 3x3 convolutions with batch-norm and ReLU, the last one linear.

    Args:
        encoder: whose layers are mirrored.
        size: of the embeddings that are decoded.
        outputs: patches decoded from each embedding.
        start: how the smallest map is made from an embedding.

    Raises:
        ConfigError: the encoder is no ``tagliasacchi_cnn``, or its patch cannot be halved three times.
    """

    def __init__(self, encoder: Encoder, size: int, outputs: int, start: Start) -> None:
        super().__init__()
        if not isinstance(encoder, TagliasacchiCnn):
            raise ConfigError(f"The decoder mirrors the encoder tagliasacchi_cnn, not {type(encoder).__name__}.")
        frames, bands = encoder.config.frames, encoder.config.frontend.n_mels
        if frames % SHRINKAGE or bands % SHRINKAGE:
            raise ConfigError(f"A decoder undoes three poolings: {frames} frames x {bands} bands must divide by 8.")
        inputs = list(reversed(encoder.channels))
        self.smallest = (inputs[0], frames // SHRINKAGE, bands // SHRINKAGE)
        places = self.smallest[1] * self.smallest[2] if start == "expand" else 1
        self.begin = nn.Linear(size, inputs[0] * places)
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise(inputs)):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
            if index in UPSAMPLED:
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs[-1], outputs, 3, padding=1))
        convert_conv2d_weight_memory_format(self, torch.channels_last)

    def forward(self, embeddings: Tensor) -> Tensor:
        """``(B, size)`` to standardised log-mel patches ``(B, outputs, F, N)``."""
        channels, height, width = self.smallest
        start = self.begin(embeddings).view(len(embeddings), channels, -1)
        image: Tensor = self.layers(start.expand(-1, -1, height * width).unflatten(2, (height, width)))
        return image.transpose(2, 3).float()
