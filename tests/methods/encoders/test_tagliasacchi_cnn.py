from __future__ import annotations

import pytest
import torch
from torch import nn

from methods.encoders.tagliasacchi_cnn import TagliasacchiCnn, TagliasacchiCnnConfig


def test_published_size() -> None:
    encoder = TagliasacchiCnn(TagliasacchiCnnConfig())
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 4_567_104
    assert (encoder.sample_rate, encoder.window, encoder.embedding_size) == (16_000, 15_600, 128)


def test_pools_after_layers_1_2_and_4_down_to_12_by_8() -> None:
    encoder = TagliasacchiCnn(TagliasacchiCnnConfig(width=0.0625))
    sizes: list[tuple[int, ...]] = []
    for block in encoder.layers:
        block.register_forward_hook(lambda *arguments: sizes.append(tuple(arguments[2].shape[2:])))
    encoder.embed(torch.zeros(2, 64, 96))
    assert sizes == [(48, 32), (24, 16), (24, 16), (12, 8), (12, 8), (12, 8)]


def test_pooled_embedding_is_the_global_maximum_without_the_linear_layer() -> None:
    encoder = TagliasacchiCnn(TagliasacchiCnnConfig(width=0.25, embedding="pooled")).eval()
    assert encoder.embedding_size == 128
    assert not any(isinstance(module, nn.Linear) for module in encoder.modules())
    patch = torch.randn(2, 64, 96, generator=torch.Generator().manual_seed(0))
    feature_map = encoder.layers(patch.transpose(1, 2)[:, None])
    torch.testing.assert_close(encoder.embed(patch), feature_map.flatten(2).max(dim=2).values)


@pytest.mark.parametrize(("width", "channels"), [(1.0, 512), (0.25, 128), (0.001, 1)])
def test_width_scales_the_channels_and_never_to_none(width: float, channels: int) -> None:
    encoder = TagliasacchiCnn(TagliasacchiCnnConfig(width=width))
    assert encoder.output.in_features == channels
    assert encoder.embedding_size == 128
