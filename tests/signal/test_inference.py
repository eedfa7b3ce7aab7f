from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark import registry
from benchmark.seeding import isolated_torch_seed
from benchmark.signal.calibration import calibrate_batchnorm
from benchmark.signal.encoder import Encoder
from benchmark.signal.inference import for_inference


def encoder_with_statistics(name: str) -> Encoder:
    """A narrow network whose batch-norms have seen data, and scale and shift."""
    with isolated_torch_seed(3, name):
        cls = registry.load("encoder", name)
        encoder: Encoder = cls(cls.Config(width=0.125))
        calibrate_batchnorm(encoder, [0.1 * torch.randn(8, encoder.window)])
        for module in encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias)
        return encoder.eval()


@pytest.mark.parametrize("name", ["crnn", "resnet18", "tagliasacchi_cnn", "vgg_like"])
@torch.inference_mode()
def test_a_folded_network_is_the_same_function_and_the_original_stays(name: str) -> None:
    encoder = encoder_with_statistics(name)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    waveform = 0.1 * torch.randn(4, encoder.window, generator=torch.Generator().manual_seed(0))
    expected, ready = encoder(waveform), for_inference(encoder)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ready.modules())
    torch.testing.assert_close(ready(waveform), expected, rtol=2e-5, atol=2e-5 * float(expected.abs().max()))
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_a_network_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="training mode"):
        for_inference(encoder_with_statistics("tagliasacchi_cnn").train())


@torch.inference_mode()
def test_a_norm_without_running_statistics_is_left_alone() -> None:
    encoder = encoder_with_statistics("tagliasacchi_cnn")
    encoder.extra = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)).eval()
    assert isinstance(for_inference(encoder).extra[1], nn.BatchNorm2d)
