from __future__ import annotations

import torch
from torch import nn

from methods.encoders.vgg_like import VggLike, VggLikeConfig


def test_published_size_and_final_map() -> None:
    encoder = VggLike(VggLikeConfig())
    own = sum(parameter.numel() for parameter in encoder.parameters())
    classifier = sum(parameter.numel() for parameter in nn.Linear(encoder.embedding_size, 20).parameters())
    assert (own, own + classifier) == (280_032, 290_292)
    assert (encoder.sample_rate, encoder.embedding_size) == (22_050, 512)
    assert encoder.layers(torch.zeros(1, 1, 101, 96)).shape == (1, 128, 12, 12)


@torch.no_grad()
def test_embedding_comes_from_the_maximum_beside_the_mean_of_the_map() -> None:
    encoder = VggLike(VggLikeConfig(width=0.25)).eval()
    patch = torch.randn(2, 96, 101, generator=torch.Generator().manual_seed(0))
    flat = encoder.layers(patch.transpose(1, 2)[:, None]).flatten(2)
    linear = encoder.output[0]
    assert isinstance(linear, nn.Linear)
    expected = torch.cat([flat.max(dim=2).values, flat.mean(dim=2)], dim=1) @ linear.weight.T + linear.bias
    torch.testing.assert_close(encoder.embed(patch), expected.clamp_min(0))
