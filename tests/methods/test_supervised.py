from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from benchmark.config import validate
from benchmark.errors import ConfigError
from benchmark.pretraining.export import build_encoder
from benchmark.pretraining.method import Batch
from benchmark.pretraining.schedule import build_optimizer
from benchmark.seeding import isolated_torch_seed
from methods.supervised import Supervised, SupervisedConfig

CLASSES = 3


def make(**changes: Any) -> Supervised:
    with isolated_torch_seed(0, "test"):
        encoder = build_encoder("tagliasacchi_cnn", {"width": 0.0625, "frames": 16})
        return Supervised(validate(SupervisedConfig, changes, "test"), encoder, CLASSES)


def batch(method: Supervised, clips: int = 12, seed: int = 0) -> Batch:
    """Tones of a frequency a class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(clips) % CLASSES
    time = torch.arange(method.encoder.window) / 16_000
    phase = 6.28 * torch.rand(clips, 1, generator=generator)
    waves = 0.2 * torch.sin(6.2832 * (300.0 * 3.0**labels)[:, None] * time + phase)
    noise = 0.01 * torch.randn(waves.shape, generator=generator)
    return Batch((waves + noise)[:, None], torch.full((clips,), method.encoder.window), labels)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_published_defaults() -> None:
    training = Supervised.default_training
    assert (training.optimizer, training.lr, training.steps) == ("adam", 1e-4, 100_000)
    assert (SupervisedConfig().gain_db, SupervisedConfig().mix) == (0.0, 0.0)
    assert Supervised.needs_labels


def test_loss_is_the_cross_entropy_of_the_exported_head_on_h() -> None:
    method = make().eval()
    data = batch(method)
    step = method.step(data, seeded())
    logits = method.head()(method.exported()["encoder"](data.waveforms[:, 0]))
    assert data.labels is not None
    torch.testing.assert_close(step.loss, functional.cross_entropy(logits, data.labels))
    assert float(step.logs["accuracy"]) == float((logits.argmax(dim=1) == data.labels).float().mean())
    assert step.embeddings is None


@pytest.mark.parametrize("one", [{"gain_db": 6.0}, {"mix": 0.2}])
def test_augmentations_change_the_step_and_follow_the_generator(one: dict[str, Any]) -> None:
    plain, method = make().eval(), make(**one).eval()
    data = batch(method)
    first, second = (method.step(data, seeded()).loss.item() for _ in range(2))
    assert first == second != plain.step(data, seeded()).loss.item()


def test_labels_are_learned() -> None:
    from benchmark.config import Training

    method = make()
    optimizer = build_optimizer(Training(lr=1e-2), method)
    method.encoder.fit_input(batch(method).waveforms[:, 0])  # type: ignore[operator]
    for step in range(40):
        optimizer.zero_grad()
        method.step(batch(method, seed=step), seeded()).loss.backward()
        optimizer.step()
    assert float(method.step(batch(method, seed=99), seeded()).logs["accuracy"]) == 1.0


def test_without_labels_or_log_mels_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="needs a task's labels"):
        Supervised(SupervisedConfig(), build_encoder("duration", {}))
    with pytest.raises(ConfigError, match="mixes log-mels"):
        Supervised(SupervisedConfig(mix=0.1), build_encoder("duration", {}), 2)


def test_clips_of_several_classes_are_trained_by_the_binary_cross_entropy() -> None:
    method = make().eval()
    data = batch(method)
    assert data.labels is not None
    targets = functional.one_hot(data.labels, CLASSES).to(torch.uint8)
    targets[:, 0] = 1
    loss = method.step(replace(data, labels=targets), seeded()).loss
    shares = method.head()(method.exported()["encoder"](data.waveforms[:, 0])).sigmoid()
    wanted = targets.float()
    expected = -(wanted * shares.log() + (1 - wanted) * (1 - shares).log()).mean()
    torch.testing.assert_close(loss, expected)
