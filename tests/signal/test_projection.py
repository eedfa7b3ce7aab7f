from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.pretraining.export import build_encoder
from benchmark.signal.projection import Projected, ProjectionHead


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_layers_are_linear_batchnorm_relu(hidden: tuple[int, ...]) -> None:
    head = ProjectionHead(4, hidden, 3).eval()
    assert (head.sizes, head.outputs) == ((4, *hidden, 3), 3)
    assert [type(layer) for layer in head] == [*[nn.Linear, nn.BatchNorm1d, nn.ReLU] * len(hidden), nn.Linear]
    z = head.represent(torch.randn(6, 4))
    torch.testing.assert_close(z.norm(dim=1), torch.ones(6))


def test_an_encoder_and_its_projection_embed_as_z() -> None:
    encoder = build_encoder("tagliasacchi_cnn", {"width": 0.0625, "frames": 16}).eval()
    head = ProjectionHead(encoder.embedding_size, (8,), 5).eval()
    both = Projected(encoder, head)
    waveform = 0.1 * torch.randn(3, encoder.window)
    assert not both.training
    assert (both.window, both.sample_rate, both.embedding_size) == (encoder.window, encoder.sample_rate, 5)
    torch.testing.assert_close(both(waveform), nn.functional.normalize(head(encoder(waveform)), dim=1))
