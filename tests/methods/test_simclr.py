import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import registry
from benchmark.config import Training, validate
from benchmark.errors import ConfigError
from benchmark.pretraining.checkpoint import TrainingState
from benchmark.pretraining.export import build_encoder
from benchmark.pretraining.method import Batch
from benchmark.pretraining.schedule import build_optimizer
from benchmark.seeding import isolated_torch_seed
from benchmark.signal.encoder import LogMelEncoder
from methods.simclr import Simclr, SimclrConfig
from tests.pretraining.toys import toy_corpus, trainer

OFF: dict[str, Any] = {"mix_back": {"alpha": 0.0}, "policy": []}


def make(encoder: str = "tagliasacchi_cnn", settings: dict[str, Any] | None = None, **changes: Any) -> Simclr:
    config = validate(SimclrConfig, changes, "test")
    with isolated_torch_seed(0, "test"):
        return Simclr(config, build_encoder(encoder, settings or {"width": 0.0625, "frames": 32}))


def batch(method: Simclr, clips: int = 6) -> Batch:
    request = method.crops()
    generator = torch.Generator().manual_seed(1)
    waveforms = 0.1 * torch.randn(clips, request.views, request.samples, generator=generator)
    return Batch(waveforms, torch.full((clips,), request.samples), None)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_published_defaults() -> None:
    config, training = SimclrConfig(), Simclr.default_training
    assert (config.temperature, config.hidden, config.projection) == (0.2, 512, 512)
    assert (config.mix_back.alpha, config.mix_back.adjust_energy, config.gain_db) == (0.05, True, 0.0)
    assert (config.resized_crop.area, config.compression, config.noise) == ((0.8, 1.0), 0.75, 0.01)
    assert (config.policy, config.distance, config.head) == (("resized_crop", "compression", "noise"), None, "mlp")
    assert (config.masks.count, config.masks.bands, config.masks.frames) == (2, 20, 20)
    assert (training.optimizer, training.lr, training.momentum, training.weight_decay) == ("sgd", 0.03, 0.9, 1e-4)
    assert (training.batch_size, training.epochs, training.milestones) == (128, 500, (0.65, 0.85))
    assert [fraction * 500 for fraction in training.milestones] == [325, 425]


def test_projection_head_of_resnet18_has_the_published_size() -> None:
    method = make("resnet18", {"width": 1.0})
    assert sum(p.numel() for p in method.projector.parameters()) == 526_336


def test_two_views_of_the_encoders_window() -> None:
    method = make()
    request = method.crops()
    assert (request.views, request.samples, request.short) == (2, method.encoder.window, "tile")


def test_patches_at_a_distance_are_so_many_frames_apart_as_the_clip_allows() -> None:
    method = make(distance=25)
    room = np.array([100_000, 3_000, 0])
    first, second = method.crops().starts(np.random.default_rng(0), room, 2).T
    np.testing.assert_array_equal(np.abs(first - second), [25 * method.encoder.frontend.config.hop, 3_000, 0])


def test_the_policy_is_applied_in_its_order() -> None:
    method, reverse = (
        make(**{**OFF, "policy": order}) for order in (["compression", "noise"], ["noise", "compression"])
    )
    waveforms = batch(method).waveforms
    assert not torch.allclose(method.views(waveforms, seeded())[0], reverse.views(waveforms, seeded())[0])


def test_a_linear_head_has_one_layer() -> None:
    method = make(head="linear", projection=7)
    assert [tuple(p.shape) for p in method.projector.parameters()] == [(7, method.encoder.embedding_size), (7,)]


def test_without_augmentation_views_are_standardised_log_mels() -> None:
    method = make(**OFF)
    waveforms = batch(method).waveforms
    method.encoder.fit_input(waveforms.flatten(0, 1))
    views, logs = method.views(waveforms, seeded())
    assert logs == {}
    assert torch.equal(views, method.encoder.standardise(method.encoder.frontend(waveforms)))
    assert float(views.mean()) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(
    "one",
    [
        {"mix_back": {"alpha": 0.1}},
        {"mix_back": {"alpha": 0.1, "adjust_energy": False}},
        {"policy": ["resized_crop"], "resized_crop": {"relative": True}},
        *({"policy": [name]} for name in ("compression", "noise", "masks", "blur")),
        *({"policy": [name]} for name in ("time_shift", "frequency_shift", "time_reversal")),
        {"gain_db": 6.0},
    ],
)
def test_each_augmentation_can_be_switched_on_alone(one: dict[str, Any]) -> None:
    plain, method = make(**OFF), make(**{**OFF, **one})
    waveforms = batch(method).waveforms
    bare, _ = plain.views(waveforms, seeded())
    views, logs = method.views(waveforms, seeded())
    assert views.shape == bare.shape
    assert not torch.allclose(views, bare)
    assert bool(logs) == ("mix_back" in one)


def test_the_published_crop_fits_square_patches_and_a_relative_one_fits_all() -> None:
    """On 64 bands x 32 frames the published aspect never fits, so that the whole patch is kept."""
    bare = make(**OFF)
    waveforms = batch(bare).waveforms
    whole = bare.views(waveforms, seeded())[0]
    absolute = make(**{**OFF, "policy": ["resized_crop"]}).views(waveforms, seeded())[0]
    relative = make(**{**OFF, "policy": ["resized_crop"], "resized_crop": {"relative": True}}).views(
        waveforms, seeded()
    )[0]
    assert torch.allclose(absolute, whole)
    assert not torch.allclose(relative, whole)


def test_views_are_a_function_of_the_generator() -> None:
    method = make(gain_db=6.0)
    waveforms = batch(method).waveforms
    first, second = (method.views(waveforms, seeded())[0] for _ in range(2))
    other, _ = method.views(waveforms, torch.Generator().manual_seed(8))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_batchnorm_statistics_are_per_view_or_joint() -> None:
    per_view, joint = make(batchnorm="per_view", **OFF), make(batchnorm="joint", **OFF)
    data = batch(per_view)
    louder = Batch(data.waveforms * torch.tensor([1.0, 30.0])[:, None], data.lengths, None)
    separate, together = per_view.step(louder, seeded()), joint.step(louder, seeded())
    assert separate.loss.item() != pytest.approx(together.loss.item(), abs=1e-3)
    updates = [m.encoder.get_buffer("layers.0.1.num_batches_tracked") for m in (per_view, joint)]
    assert [int(count) for count in updates] == [2, 1]

    # an encoder whose batch-norm sees one view sees statistics of that view only: the other view does not matter
    embeddings = []
    for factor in (1.0, 30.0):
        method = make(batchnorm="per_view", **OFF)
        scaled = Batch(data.waveforms * torch.tensor([1.0, factor])[:, None], data.lengths, None)
        step = method.step(scaled, seeded())
        assert step.embeddings is not None
        embeddings.append(step.embeddings)
    assert torch.equal(*embeddings)


def test_gradients_reach_every_parameter() -> None:
    method = make()
    method.step(batch(method), seeded()).loss.backward()
    assert all(
        p.grad is not None and bool(p.grad.abs().sum() > 0) for n, p in method.named_parameters() if "bias" not in n
    )


def test_an_encoder_without_log_mels_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs an encoder of log-mels"):
        Simclr(SimclrConfig(), build_encoder("duration", {}))


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0.0}, {"mix_back": {"alpha": 1.5}}, {"gain": 3.0}, {"projection": 0}]
)
def test_values_out_of_range_are_one_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="method_config"):
        validate(SimclrConfig, wrong, "method_config")


def test_it_is_registered() -> None:
    assert registry.load("method", "simclr") is Simclr


def test_the_pretext_task_is_learned(tmp_path: Path) -> None:
    """Two crops of one of 24 tones: far below the ln(2N - 1) of embeddings that say nothing."""
    corpus = toy_corpus(tmp_path / "toy-16000", samples=12_000)
    method = make(
        settings={"width": 0.0625, "frames": 16, "embedding": "pooled"},
        mix_back={"alpha": 0.05},
        hidden=64,
        projection=32,
    )
    training = Training(optimizer="adamw", lr=3e-3, steps=30, batch_size=24, schedule="cosine", precision="bf16")
    state = TrainingState(method, build_optimizer(training, method), [])
    assert isinstance(method.encoder, LogMelEncoder)
    trainer(tmp_path, corpus, state, training).fit(state)
    assert state.history[-1]["loss"] < 0.5 * math.log(2 * 24 - 1)
