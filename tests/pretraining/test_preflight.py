"""Each planted mistake is named in plain words by the check that is meant for it; what is right passes."""

from __future__ import annotations

import random
import time
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from benchmark import registry
from benchmark.config import EncoderConfig, MethodConfig, Training
from benchmark.pretraining import preflight as checks
from benchmark.pretraining.method import Batch, CropRequest, Method, Step
from benchmark.pretraining.preflight import Finding, Subject, preflight
from benchmark.signal.encoder import Encoder


class TinyEncoder(Encoder):
    """Magnitudes of 32 bands and a linear layer."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.sample_rate, self.window, self.embedding_size = 8_000, 512, 8
        self.linear = nn.Linear(32, 8)

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        bands = torch.fft.rfft(waveform).abs()[:, :256].unflatten(1, (32, 8)).sum(dim=2)
        return self.linear((bands + 1e-3).log())


class Sound(Method):
    """Two noisy crops find each other; every mistake below is one change of it."""

    default_training: ClassVar[Training] = Training(steps=10)

    def __init__(self, config: MethodConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__(config, encoder, n_classes)
        self.project = nn.Linear(encoder.embedding_size, 4)

    def crops(self) -> CropRequest:
        return CropRequest(2, self.encoder.window)

    def noise(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(waveforms.shape, generator=generator, device=waveforms.device)

    def embed(self, waveforms: Tensor) -> Tensor:
        return self.encoder(waveforms)

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        here = torch.arange(len(first), device=first.device)
        return functional.cross_entropy(first @ second.T, here)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        noisy = batch.waveforms + 0.01 * self.noise(batch.waveforms, generator)
        embeddings = self.embed(noisy.flatten(0, 1))
        first, second = functional.normalize(self.project(embeddings), dim=1).unflatten(0, (-1, 2)).unbind(1)
        return Step(self.loss(first, second), embeddings)


class Detached(Sound):
    def embed(self, waveforms: Tensor) -> Tensor:
        return self.encoder(waveforms).detach()


class GlobalTorch(Sound):
    def noise(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn_like(waveforms)


class GlobalNumpy(Sound):
    def noise(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        noise = np.random.standard_normal(tuple(waveforms.shape))  # noqa: NPY002
        return torch.from_numpy(noise).float().to(waveforms.device)


class GlobalRandom(Sound):
    def noise(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        return super().noise(waveforms, generator) * random.random()


class Clock(Sound):
    def noise(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        return super().noise(waveforms, generator) * (time.perf_counter_ns() % 1_000_003 / 1_000_003)


class Reinitialised(Sound):
    def __init__(self, config: MethodConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__(config, encoder, n_classes)
        for parameter in encoder.parameters():
            nn.init.normal_(parameter, std=0.1)


class FreshEntropy(Sound):
    def __init__(self, config: MethodConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__(config, encoder, n_classes)
        self.register_buffer("bank", torch.from_numpy(np.random.default_rng().standard_normal(4)))


class NotANumber(Sound):
    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        return (first - first).sum().log() * 0


class Vector(Sound):
    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        return (first - second).square().sum(dim=1)


class Silent(Sound):
    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        level = batch.waveforms.square().mean(dim=-1, keepdim=True).sqrt()
        return super().step(Batch(batch.waveforms / level, batch.lengths, batch.labels), generator)


class FixedBatch(Sound):
    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        return functional.cross_entropy(first @ second.T, torch.arange(checks.CLIPS, device=first.device))


class HardCodedDevice(Sound):
    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        return super().loss(first, second).to("cpu")


class NoDevice(Sound):
    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        return functional.cross_entropy(first @ second.T, torch.arange(len(first)))


class Forgetful(Sound):
    """Its running mean is a plain attribute, which no checkpoint holds."""

    mean: Any = 0.0

    def embed(self, waveforms: Tensor) -> Tensor:
        embeddings = self.encoder(waveforms)
        self.mean = 0.9 * self.mean + embeddings.detach().mean(dim=0)
        return embeddings - self.mean


class Wrapped(Encoder):
    def __init__(self, inner: Encoder) -> None:
        super().__init__()
        self.inner, self.window, self.sample_rate = inner, inner.window, inner.sample_rate
        self.embedding_size = inner.embedding_size

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.inner(waveform, lengths)


class ExportsWrapper(Sound):
    def exported(self) -> dict[str, Encoder]:
        return {"encoder": Wrapped(self.encoder)}


class ExportsNetwork(Sound):
    def exported(self) -> Any:
        return {"encoder": self.project}


class Unused(Sound):
    def __init__(self, config: MethodConfig, encoder: Encoder, n_classes: int | None = None) -> None:
        super().__init__(config, encoder, n_classes)
        self.spare = nn.Linear(2, 2)


class LabelsWithoutHead(Sound):
    needs_labels: ClassVar[bool] = True


class HeadWithoutLabels(Sound):
    def head(self) -> nn.Linear:
        return self.project


class Uphill(Sound):
    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        falling = super().loss(first, second)
        return 2 * falling.detach() - falling


class OutOfBoundsConfig(MethodConfig):
    temperature: float = Field(-1.0, gt=0)


class BadDefault(Sound):
    Config: ClassVar[type[MethodConfig]] = OutOfBoundsConfig


class Endless(Sound):
    default_training: ClassVar[Training] = Training()


class Crashing(Sound):
    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        raise KeyError("temperature")


class WrongSize(TinyEncoder):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.linear = nn.Linear(32, 12)


class NanOnSilence(TinyEncoder):
    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        return super().forward(waveform / waveform.abs().amax(dim=1, keepdim=True))


class BatchStatistics(TinyEncoder):
    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        embeddings = super().forward(waveform)
        return embeddings - embeddings.mean(dim=0)


class Unsaved(TinyEncoder):
    """Counts in an attribute what it has seen, and scales by it."""

    seen = 0

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        self.seen += self.training
        return super().forward(waveform) * (1 + 0.1 * self.seen)


METHOD_MISTAKES = [
    (Detached, "gradients", "no gradient reaches encoder.linear.weight of the encoder"),
    (Unused, "gradients", "no gradient reaches spare.weight"),
    (GlobalTorch, "global randomness", "draws from the global generator of torch"),
    (GlobalNumpy, "global randomness", "draws from the global generator of numpy"),
    (GlobalRandom, "global randomness", "draws from the global generator of random"),
    (Clock, "determinism", "the same batch and generator gave the losses"),
    (Reinitialised, "same start", "differs from Untrained's of the same seed in linear.weight"),
    (FreshEntropy, "construction", "two builds under the same seed differ in bank"),
    (NotANumber, "step result", "the loss is nan"),
    (Vector, "step result", "the loss has the shape (8,)"),
    (Silent, "silence", "the loss is not finite where half of the clips are digital silence"),
    (FixedBatch, "short batch", "a batch of 3 clips after one of 8 fails"),
    (HardCodedDevice, "device", 'names a device (return super().loss(first, second).to("cpu"))'),
    (NoDevice, "device", "creates a tensor on the default device"),
    (Forgetful, "resuming", "after saving and loading, the next losses are"),
    (ExportsWrapper, "saving", "cannot be loaded into a fresh one"),
    (ExportsNetwork, "export", "without an Encoder called 'encoder'"),
    (LabelsWithoutHead, "export", "needs_labels is set and head() gives None"),
    (HeadWithoutLabels, "export", "head() gives a classifier and needs_labels is not set"),
    (BadDefault, "configuration", "temperature: Input should be greater than 0"),
    (Endless, "configuration", "default_training has no length"),
    (Crashing, "step result", "stops with KeyError: 'temperature' (test_preflight.py, line "),
]
ENCODER_MISTAKES = [
    (WrongSize, "embedding", "3 clips are embedded as (3, 12) of torch.float32, and embedding_size is 8"),
    (NanOnSilence, "embedding", "the embedding of digital silence is not finite"),
    (BatchStatistics, "embedding", "depends on the other clips of its batch"),
    (Unsaved, "saving", "saved and loaded, gives other embeddings"),
]


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checks, "FALLING_STEPS", 8)


def found(method: type[Method], encoder: type[Encoder] = TinyEncoder) -> list[Finding]:
    return list(preflight(Subject(method, encoder)))


def assert_caught(findings: list[Finding], check: str, words: str) -> None:
    faults = [finding for finding in findings if finding.outcome == "fault" and finding.check == check]
    assert any(words in str(fault) for fault in faults), [str(f) for f in findings if f.outcome != "ok"]
    for fault in faults:
        assert fault.problem is not None
        assert fault.problem.hint
        assert "\n" not in str(fault)


def test_what_is_right_passes() -> None:
    assert {finding.outcome for finding in found(Sound)} == {"ok"}


@pytest.mark.parametrize(
    ("method", "check", "words"), METHOD_MISTAKES, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_mistake_of_a_method_is_named(method: type[Method], check: str, words: str) -> None:
    assert_caught(found(method), check, words)


@pytest.mark.parametrize(("encoder", "check", "words"), ENCODER_MISTAKES, ids=lambda v: getattr(v, "__name__", ""))
def test_a_mistake_of_an_encoder_is_named(encoder: type[Encoder], check: str, words: str) -> None:
    assert_caught(found(Sound, encoder), check, words)


def test_a_loss_that_rises_is_a_warning_and_no_fault() -> None:
    outcomes = {finding.check: finding.outcome for finding in found(Uphill)}
    assert outcomes.pop("learning") == "warning"
    assert set(outcomes.values()) == {"ok"}


def test_what_cannot_be_built_ends_the_preflight() -> None:
    findings = found(BadDefault)
    assert [finding.outcome for finding in findings[1:]] == ["unchecked"] * (len(findings) - 1)


def test_dropout_may_draw() -> None:
    class Dropped(Sound):
        def __init__(self, config: MethodConfig, encoder: Encoder, n_classes: int | None = None) -> None:
            super().__init__(config, encoder, n_classes)
            self.project = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 4))  # type: ignore[assignment]

    assert "fault" not in {finding.outcome for finding in found(Dropped)}


def test_the_global_generators_are_left_as_they_were() -> None:
    before = (torch.get_rng_state(), np.random.get_state()[1], random.getstate())  # noqa: NPY002
    found(GlobalTorch), found(GlobalNumpy), found(GlobalRandom)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == random.getstate()


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(registry.plugins("method")))
def test_every_method_of_the_tree_passes(method: str) -> None:
    subject = Subject(registry.load("method", method), registry.load("encoder", "tagliasacchi_cnn"))
    assert [str(finding) for finding in preflight(subject) if finding.outcome == "fault"] == []
