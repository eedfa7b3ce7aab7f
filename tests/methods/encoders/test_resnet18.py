from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from benchmark.config import Machine
from benchmark.pretraining.device import deterministic_torch
from methods.encoders.resnet18 import BasicBlock, ResNet18, ResNet18Config


def test_published_size_and_final_map() -> None:
    encoder = ResNet18(ResNet18Config())
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 11_170_240
    assert (encoder.sample_rate, encoder.embedding_size) == (22_050, 512)
    assert encoder.frontend.frames(encoder.window) == 101
    assert encoder.feature_map(torch.zeros(1, 96, 101)).shape == (1, 512, 4, 3)


def test_time_runs_down_the_image() -> None:
    encoder = ResNet18(ResNet18Config(width=0.0625)).eval()
    assert encoder.feature_map(torch.zeros(1, 96, 320)).shape[2:] == (10, 3)


def test_twenty_convolutions_initialised_by_fan_out() -> None:
    encoder = ResNet18(ResNet18Config(width=0.5))
    convolutions = [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 20
    for convolution in convolutions:
        assert convolution.bias is None
        fan_out = convolution.out_channels * math.prod(convolution.kernel_size)
        spread = float(convolution.weight.detach().std())
        assert spread == pytest.approx(math.sqrt(2 / fan_out), rel=5 / math.sqrt(convolution.weight.numel()) + 0.01)


def test_embedding_is_the_average_of_the_map() -> None:
    encoder = ResNet18(ResNet18Config(width=0.125)).eval()
    patch = torch.randn(2, 96, 101, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(encoder.embed(patch), encoder.feature_map(patch).flatten(2).mean(dim=2))


@pytest.mark.timeout(60, method="thread")  # a signal would wait for the kernel
@pytest.mark.parametrize("before", [2, 4, 8, 16])
def test_shortcuts_of_few_channels_have_the_gradients_of_float64(before: int) -> None:
    """oneDNN's kernel for the weights of a strided 1 x 1 convolution gives others there, crashes or never ends."""
    with deterministic_torch(Machine(threads=2)):
        convolution = BasicBlock(before, 2 * before, 2).to(memory_format=torch.channels_last).shortcut[0]
        image = torch.randn(64, before, 24, 26).to(memory_format=torch.channels_last).requires_grad_()
        weight, exact = convolution.weight.detach().double().requires_grad_(), image.detach().double().requires_grad_()
        found, expected = convolution(image), nn.functional.conv2d(exact, weight, stride=2)
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-4)
        direction = torch.randn_like(found)
        found.backward(direction)
        expected.backward(direction.double())
    torch.testing.assert_close(convolution.weight.grad.double(), weight.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(image.grad.double(), exact.grad, rtol=1e-4, atol=1e-4)
