from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark import registry
from benchmark.seeding import isolated_torch_seed
from benchmark.signal.inference import for_inference
from benchmark.signal.winograd import WinogradConv2d, pays


def convolution(bias: bool = True, **changed: Any) -> nn.Conv2d:
    with isolated_torch_seed(0, "convolution"):
        return nn.Conv2d(
            **{"in_channels": 128, "out_channels": 256, "kernel_size": 3, "padding": 1, "bias": bias} | changed
        )


def image(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (4, 8), (12, 8), (13, 11)])
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_in_float64_it_is_the_convolution(size: tuple[int, int], bias: bool) -> None:
    direct = convolution(bias).double()
    pixels = image(2, 128, *size).double()
    found, expected = WinogradConv2d(direct)(pixels), direct(pixels)
    assert found.shape == expected.shape
    assert relative_error(found, expected) < 1e-13


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@torch.inference_mode()
def test_in_float32_it_is_the_convolution_but_for_rounding(memory_format: torch.memory_format) -> None:
    direct = convolution()
    pixels = image(4, 128, 24, 16).to(memory_format=memory_format)
    found, exact = WinogradConv2d(direct)(pixels), convolution().double()(pixels.double())
    assert relative_error(found, exact) < 5e-6


@torch.inference_mode()
def test_an_image_does_not_depend_on_the_others() -> None:
    fast, pixels = WinogradConv2d(convolution()), image(16, 128, 12, 8)
    together = fast(pixels)
    for few in (1, 3):
        assert relative_error(fast(pixels[:few]), together[:few]) < 1e-6


@pytest.mark.parametrize(
    "other",
    [
        {"kernel_size": 1, "padding": 0},
        {"kernel_size": (3, 5)},
        {"stride": 2},
        {"padding": 0},
        {"padding": 2, "dilation": 2},
        {"groups": 2},
        {"padding_mode": "reflect"},
        {"in_channels": 64},
        {"out_channels": 128},
    ],
)
def test_other_convolutions_and_narrow_ones_stay(other: dict[str, Any]) -> None:
    assert pays(convolution())
    assert not pays(convolution(**other))


@pytest.mark.parametrize(("name", "wide"), [("tagliasacchi_cnn", 4), ("resnet18", 6)])
@torch.inference_mode()
def test_a_published_network_is_the_same_function(name: str, wide: int) -> None:
    cls = registry.load("encoder", name)
    with isolated_torch_seed(0, name):
        encoder = cls(cls.Config()).eval()
    waveform = 0.1 * image(3, encoder.window)
    ready = for_inference(encoder)
    assert sum(isinstance(module, WinogradConv2d) for module in ready.modules()) == wide
    assert relative_error(ready(waveform), encoder(waveform)) < 1e-5


@torch.inference_mode()
def test_a_network_that_is_ready_already_stays_as_it_is() -> None:
    cls = registry.load("encoder", "tagliasacchi_cnn")
    ready = for_inference(cls(cls.Config()).eval())
    waveform = 0.1 * image(2, ready.window)
    assert torch.equal(for_inference(ready)(waveform), ready(waveform))
