from __future__ import annotations

import torch
from torch import nn

from methods.encoders.crnn import Crnn, CrnnConfig


def test_published_size_and_steps() -> None:
    encoder = Crnn(CrnnConfig())
    own = sum(parameter.numel() for parameter in encoder.parameters())
    classifier = sum(parameter.numel() for parameter in nn.Linear(encoder.embedding_size, 20).parameters())
    assert (own, own + classifier) == (946_816, 948_116)
    assert (encoder.sample_rate, encoder.embedding_size) == (22_050, 64)
    assert encoder.layers(torch.zeros(1, 1, 101, 96)).shape == (1, 128, 12, 2)


@torch.no_grad()
def test_the_recurrent_layer_reads_bands_before_channels() -> None:
    """The released code's order, so that its weights could be loaded."""
    encoder = Crnn(CrnnConfig(width=0.0625)).eval()
    patch = torch.randn(2, 96, 101, generator=torch.Generator().manual_seed(0))
    features = encoder.layers(patch.transpose(1, 2)[:, None])
    read: list[torch.Tensor] = []
    encoder.recurrent.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    encoder.embed(patch)
    channels = features.shape[1]
    assert torch.equal(read[0][1, 3, channels + 2], features[1, 2, 3, 1])


@torch.no_grad()
def test_h_is_the_product_of_both_directions_at_the_last_step() -> None:
    encoder = Crnn(CrnnConfig(width=0.0625)).eval()
    patch = torch.randn(2, 96, 101, generator=torch.Generator().manual_seed(0))
    steps = encoder.layers(patch.transpose(1, 2)[:, None]).permute(0, 2, 3, 1).flatten(2)
    size = encoder.embedding_size
    forwards, backwards = nn.GRU(steps.shape[2], size, batch_first=True), nn.GRU(steps.shape[2], size, batch_first=True)
    own = encoder.recurrent.state_dict()
    forwards.load_state_dict({key: value for key, value in own.items() if "reverse" not in key})
    backwards.load_state_dict({key.removesuffix("_reverse"): own[key] for key in own if "reverse" in key})
    expected = forwards(steps)[0][:, -1] * backwards(steps.flip(1)[:, :1])[0][:, 0]  # backwards: one frame alone
    torch.testing.assert_close(encoder.embed(patch), expected)
