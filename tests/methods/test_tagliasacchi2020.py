"""What the six pretext methods of tagliasacchi2020 share: published settings, gradients, determinism, learnability."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark import registry
from benchmark.config import Training, validate
from benchmark.errors import ConfigError, DataError
from benchmark.pretraining.data import Source, TrainingData
from benchmark.pretraining.export import build_encoder
from benchmark.pretraining.method import Batch, Method
from benchmark.pretraining.schedule import build_optimizer
from benchmark.seeding import isolated_torch_seed, torch_stream
from tests.pretraining.toys import toy_corpus

RECONSTRUCTION = ["audio2vec_cbow", "audio2vec_skipgram", "autoencoder"]
NARROW: dict[str, object] = {"width": 0.0625, "frames": 16}
METHODS = [*RECONSTRUCTION, "temporal_gap", "arrow_of_time", "triplet_loss"]
RATE = 16_000
CONSTANT_GAP = math.log(2)
"""Cross entropy of the best constant answer to a gap that is uniform in [0, 1], which is 1/2."""


def make(name: str, settings: dict[str, object] | None = None, **changes: object) -> Method:
    cls: type[Method] = registry.load("method", name)
    with isolated_torch_seed(0, "test"):
        encoder = build_encoder("tagliasacchi_cnn", settings or NARROW)
        return cls(validate(cls.Config, changes, "test"), encoder)


def chirps(method: Method, clips: int = 16, seed: int = 0) -> Batch:
    """Crops of decaying, rising tones: their pitch tells the clip, its rise tells time and its direction."""
    request = method.crops()
    generator = torch.Generator().manual_seed(seed)
    room = 12_000
    length = request.samples + room
    start = 150 * 2 ** (4 * torch.rand(clips, 1, generator=generator))
    time = torch.arange(length) / RATE
    rise = 2 ** (2 * time / time[-1])
    wave = torch.sin(2 * math.pi * torch.cumsum(start * rise / RATE, dim=1)) * 0.5**time
    wave = wave * (1 - (time * 20) % 1) + 1e-3 * torch.randn(clips, length, generator=generator)
    stream = np.random.default_rng(seed)
    starts = request.starts(stream, np.full(clips, room), request.views)
    crops = wave.unfold(1, request.samples, 1)[torch.arange(clips)[:, None], torch.from_numpy(starts)]
    lengths = torch.full((clips,), request.samples)
    return Batch(0.3 * crops, lengths, None, torch.from_numpy((starts / room).astype(np.float32)))


def train(method: Method, steps: int) -> list[float]:
    batches = [chirps(method, seed=seed) for seed in range(10)]
    method.encoder.fit_input(batches[0].waveforms[:, 0])  # type: ignore[operator]
    optimizer = build_optimizer(Training(lr=3e-3), method)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        loss: Tensor = method.step(batches[step % 10], torch_stream(0, "views", step)).loss
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", METHODS)
def test_published_optimisation(name: str) -> None:
    training = registry.load("method", name).default_training
    assert (training.optimizer, training.batch_size, training.steps) == ("adam", 256, 3_000_000)
    assert training.lr == (1e-3 if name in RECONSTRUCTION else 1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_a_step_is_finite_reaches_every_parameter_and_is_a_function_of_its_generator(name: str) -> None:
    method = make(name)
    batch = chirps(method)
    step = method.step(batch, torch_stream(0, "views"))
    step.loss.backward()  # type: ignore[no-untyped-call]
    assert step.loss.isfinite()
    assert step.embeddings is not None
    assert step.embeddings.shape[1] == method.encoder.embedding_size
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())
    assert any(bool(p.grad.abs().sum() > 0) for p in method.encoder.parameters() if p.grad is not None)
    before = torch.random.get_rng_state()
    assert method.step(batch, torch_stream(0, "views")).loss.item() == step.loss.item()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", METHODS)
def test_only_log_mel_encoders(name: str) -> None:
    cls: type[Method] = registry.load("method", name)
    with pytest.raises(ConfigError, match="needs an encoder of log-mels"):
        cls(cls.Config(), build_encoder("duration", {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_the_pretext_task_is_learnable(name: str) -> None:
    """The loss falls clearly below what the best constant answer costs."""
    method = make(name)
    final = float(np.mean(train(method, 30 if name == "arrow_of_time" else 80)[-10:]))
    if name in RECONSTRUCTION:
        assert final < 0.85 * constant_cost(method)
    elif name == "temporal_gap":
        assert final < 0.5 + 0.85 * (CONSTANT_GAP - 0.5)  # 0.5 is the entropy of the target
    elif name == "arrow_of_time":
        assert final < 0.5 * math.log(2)
    else:
        assert final < 0.5 * 0.1  # the margin


def constant_cost(method: Method) -> float:
    """Mean squared error of the best constant patch: the variance of each bin of the standardised log-mels."""
    encoder = method.encoder
    waveforms = torch.cat([chirps(method, seed=seed).waveforms[:, 0, : encoder.window] for seed in range(20)])
    with torch.no_grad():
        patches = encoder.standardise(encoder.frontend(waveforms))  # type: ignore[operator]
    return float(patches.var(dim=0).mean())


def test_clips_that_are_too_short_are_left_out_and_none_is_one_sentence(tmp_path: Path) -> None:
    corpus = toy_corpus(tmp_path, n=6, samples=9_000)
    needed = make("audio2vec_cbow", context=1).crops().minimum  # 52 frames of 16 + 2 + 16 + 2 + 16
    assert needed == 51 * 160 + 400
    lengths = corpus.clips["samples"].to_numpy()
    method = make("audio2vec_cbow", context=1)
    request = method.crops()
    longer = type(request)(1, request.samples, minimum=int(lengths[2]))
    data = TrainingData([Source(corpus, np.arange(6))], longer, 4, seed=0, run="r")
    assert sorted(data.sources[0].rows) == [2, 3, 4, 5]
    assert sum(len(batch.waveforms) for batch in data.calibration(100, 1000)) == 6  # whatever the method can use
    assert data.too_short() == 2
    full = make("audio2vec_cbow", {"width": 0.0625}).crops()
    with pytest.raises(DataError, match=r"no clip of toy has the 4\.89 s"):
        TrainingData([Source(corpus, np.arange(6))], full, 4, seed=0, run="r")
