"""The cost of a step, against closed forms."""

import torch
from torch import Tensor, nn

from benchmark import registry
from benchmark.cost import window_cost
from benchmark.signal.encoder import Encoder


class Linear(Encoder):
    """One layer of 100 inputs and 7 outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.sample_rate, self.window, self.embedding_size = 8000, 100, 7
        self.layer = nn.Linear(100, 7)

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        embedding: Tensor = self.layer(waveform)
        return embedding


def test_a_linear_layer_costs_two_operations_a_weight():
    assert window_cost(Linear()) == (2 * 100 * 7, 7)


def test_the_convolutions_of_the_small_network_cost_what_their_shapes_say():
    encoder_class = registry.load("encoder", "tagliasacchi_cnn")
    flops, values = window_cost(encoder_class(encoder_class.Config()))
    channels = [1, 64, 128, 256, 256, 512, 512]
    pixels = [96 * 64, 48 * 32, 24 * 16, 24 * 16, 12 * 8, 12 * 8]
    layers = zip(channels, channels[1:], pixels, strict=False)
    convolutions = sum(2 * 9 * before * after * size for before, after, size in layers)
    assert convolutions < flops < 1.02 * convolutions  # and the mel matrix and the last linear layer
    assert values > 3 * 64 * 96 * 64


def test_encoders_of_whole_clips_have_no_window():
    encoder_class = registry.load("encoder", "duration")
    assert window_cost(encoder_class(encoder_class.Config())) == (0, 0)


def test_counting_leaves_the_global_generator_alone():
    encoder, before = Linear(), torch.get_rng_state()
    window_cost(encoder)
    assert torch.equal(before, torch.get_rng_state())
