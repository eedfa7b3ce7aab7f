from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from benchmark import Encoder
from benchmark.signal.calibration import calibrate_batchnorm
from methods.encoders.duration import Duration, DurationConfig
from methods.encoders.resnet18 import ResNet18, ResNet18Config
from methods.encoders.tagliasacchi_cnn import TagliasacchiCnn, TagliasacchiCnnConfig


def cnn() -> Encoder:
    return TagliasacchiCnn(TagliasacchiCnnConfig(width=0.0625))


def resnet() -> Encoder:
    return ResNet18(ResNet18Config(width=0.0625))


def waveforms(encoder: Encoder, count: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    level = torch.logspace(-3, -0.5, count)[:, None]
    return level * torch.randn(count, encoder.window, generator=generator)


@pytest.mark.parametrize("make", [cnn, resnet])
def test_eval_mode_then_equals_training_mode_on_one_big_batch(make: Callable[[], Encoder]) -> None:
    encoder = make().double()
    x = waveforms(encoder)
    big_batch = copy.deepcopy(encoder).train()
    with torch.no_grad():
        expected = big_batch(x)
    calibrate_batchnorm(encoder, torch.split(x, [5, 1, 4, 2]))
    assert not encoder.training
    with torch.no_grad():
        torch.testing.assert_close(encoder(x), expected, rtol=1e-4, atol=1e-5)


def test_running_statistics_are_those_of_one_big_batch() -> None:
    encoder = cnn()
    x = waveforms(encoder)
    big_batch = copy.deepcopy(encoder).train()
    norms = [module for module in big_batch.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        big_batch(x)
    calibrate_batchnorm(encoder, x.split(5))
    ours = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    for index, (mine, theirs) in enumerate(zip(ours, norms, strict=True)):
        torch.testing.assert_close(mine.running_mean, theirs.running_mean, rtol=1e-3, atol=1e-4, msg=f"layer {index}")
        # torch keeps the unbiased variance of its n values; the population's is (n - 1) / n of it
        torch.testing.assert_close(mine.running_var, theirs.running_var, rtol=2e-3, atol=1e-5, msg=f"layer {index}")


def test_the_division_into_batches_does_not_matter() -> None:
    first = cnn()
    second = copy.deepcopy(first)
    x = waveforms(first)
    calibrate_batchnorm(first, x.split(1))
    calibrate_batchnorm(second, iter([x[6:], x[:6]]))
    with torch.no_grad():
        torch.testing.assert_close(first(x), second(x), rtol=1e-4, atol=1e-5)


def test_weights_and_hooks_are_left_alone() -> None:
    encoder = cnn()
    before = {name: value.clone() for name, value in encoder.named_parameters()}
    calibrate_batchnorm(encoder, [waveforms(encoder)])
    assert all(torch.equal(before[name], value) for name, value in encoder.named_parameters())
    assert not any(module._forward_pre_hooks for module in encoder.modules())


def test_encoders_without_batchnorm_are_only_put_in_eval_mode() -> None:
    encoder = Duration(DurationConfig()).train()
    calibrate_batchnorm(encoder, [torch.zeros(2, 100)])
    assert not encoder.training
