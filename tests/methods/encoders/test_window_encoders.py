"""What every encoder of fixed windows promises."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmark import LogMelEncoder, isolated_torch_seed, registry
from benchmark.artifacts import read_arrays, write_arrays

NAMES = ["crnn", "resnet18", "tagliasacchi_cnn", "vgg_like"]


def make(name: str, seed: int = 0) -> LogMelEncoder:
    encoder_class = registry.load("encoder", name)
    with isolated_torch_seed(seed, name):
        encoder: LogMelEncoder = encoder_class(encoder_class.Config(width=0.0625))
    return encoder


def waveforms(encoder: LogMelEncoder, count: int = 6) -> torch.Tensor:
    return 0.1 * torch.randn(count, encoder.window, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_embedding_in_eval_mode_does_not_depend_on_the_batch(name: str) -> None:
    encoder = make(name).eval()
    x = waveforms(encoder)
    with torch.no_grad():
        together = encoder(x)
        assert together.shape == (6, encoder.embedding_size)
        for row in range(6):
            torch.testing.assert_close(encoder(x[row : row + 1])[0], together[row], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[1], rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_frozen_forward_pass_moves_nothing(name: str) -> None:
    encoder = make(name).eval()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    encoder(waveforms(encoder)).sum().backward()
    assert all(torch.equal(before[key], value) for key, value in encoder.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_training_mode_does_move_batchnorm(name: str) -> None:
    encoder = make(name).train()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    encoder(waveforms(encoder))
    moved = {key for key, value in encoder.state_dict().items() if not torch.equal(before[key], value)}
    assert moved
    assert all("running" in key or "num_batches" in key for key in moved)


@pytest.mark.parametrize("name", NAMES)
def test_state_survives_a_file(name: str, tmp_path: Path) -> None:
    first, second = make(name, 0), make(name, 1).eval()
    first.fit_input(waveforms(first))
    first(waveforms(first))
    first.eval()
    file = tmp_path / "encoder.safetensors"
    write_arrays(file, {key: value.numpy() for key, value in first.state_dict().items()}, {})
    arrays, _ = read_arrays(file)
    second.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in arrays.items()})
    x = waveforms(first)
    with torch.no_grad():
        assert torch.equal(first(x), second(x))


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_gets_a_gradient_and_bf16_gives_float32(name: str) -> None:
    encoder = make(name)
    with torch.autocast("cpu", torch.bfloat16):
        embedding = encoder(waveforms(encoder))
    assert embedding.dtype == torch.float32
    embedding.square().sum().backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", NAMES)
def test_input_statistics_standardise_the_patches(name: str) -> None:
    encoder = make(name)
    x = waveforms(encoder)
    encoder.fit_input(x)
    patch = encoder.standardise(encoder.frontend(x))
    assert patch.mean().abs() < 1e-4
    assert patch.std() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_silence_has_a_finite_embedding(name: str) -> None:
    encoder = make(name).eval()
    encoder.fit_input(torch.zeros(2, encoder.window))
    assert torch.isfinite(encoder(torch.zeros(2, encoder.window))).all()


@pytest.mark.parametrize("name", NAMES)
def test_published_settings_are_the_defaults_and_survive_json(name: str) -> None:
    config_class = registry.load("encoder", name).Config
    assert config_class.model_validate_json(config_class().model_dump_json()) == config_class()
