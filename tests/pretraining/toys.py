"""Small corpora, encoders and methods for the tests of pre-training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import soundfile
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.config import EncoderConfig, MethodConfig, Training
from benchmark.corpus.prepare import prepare
from benchmark.corpus.store import Corpus
from benchmark.distributed import share, world_size
from benchmark.pretraining.checkpoint import Checkpoints, TrainingState
from benchmark.pretraining.curves import Curves
from benchmark.pretraining.data import Source, TrainingData
from benchmark.pretraining.loop import Trainer
from benchmark.pretraining.method import Batch, CropRequest, Method, Step
from benchmark.pretraining.momentum import MemoryBank, update_ema
from benchmark.pretraining.schedule import build_optimizer
from benchmark.records import Dataset
from benchmark.seeding import isolated_torch_seed, torch_stream
from benchmark.signal.encoder import Encoder

RATE = 16_000


class ToyDataset(Dataset):
    """A dataset whose table is given."""

    title, homepage, licence, citation = "Toy", "none", "CC0", "none"
    labels: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __init__(self, name: str, clips: pd.DataFrame) -> None:
        self.id = self.folder = name  # type: ignore[misc]
        self.expected_clips = len(clips)  # type: ignore[misc]
        self.clips = clips

    def read(self, folder: Path) -> pd.DataFrame:
        return self.clips

    def write_standin(self, folder: Path, seed: int) -> None:
        raise NotImplementedError


def write_corpus(folder: Path, dataset: str, clips: pd.DataFrame, audio: list[np.ndarray]) -> Corpus:
    """Prepare a corpus of ``audio`` int16 waves; ``clips`` needs every column but ``samples``."""
    raw = folder.parent / f"{dataset}-raw"
    raw.mkdir(parents=True)
    for path, wave in zip(clips["path"], audio, strict=True):
        soundfile.write(raw / path, wave, RATE, subtype="PCM_16")
    prepare(ToyDataset(dataset, clips), raw, folder, RATE, 1, True, folder.parent / f"{dataset}-cache")
    return Corpus.open(folder)


def toy_clips(n: int, dataset: str = "toy") -> pd.DataFrame:
    names = [f"{dataset}{number:03d}" for number in range(n)]
    paths = [f"{name}.wav" for name in names]
    return pd.DataFrame({"clip_id": names, "path": paths, "group": [f"{dataset}:{name}" for name in names]})


def tone(frequency: float, samples: int, seed: int) -> np.ndarray:
    """A chord of a tone and its octave in a little noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    wave = np.sin(2 * np.pi * frequency * time) + 0.5 * np.sin(4 * np.pi * frequency * time + seed)
    return (6000 * wave + 200 * generator.standard_normal(samples)).astype(np.int16)


def toy_corpus(folder: Path, n: int = 24, samples: int = 8000, dataset: str = "toy") -> Corpus:
    """``n`` tones of rising frequency."""
    audio = [tone(150 * 1.12**number, samples + 10 * number, number) for number in range(n)]
    return write_corpus(folder, dataset, toy_clips(n, dataset), audio)


class ToyEncoder(Encoder):
    """Magnitudes of 64 frequencies, batch-norm, a linear layer: fast, with buffers."""

    scope: ClassVar[Literal["window", "clip"]] = "window"

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.config = EncoderConfig()
        self.sample_rate, self.window, self.embedding_size = RATE, 1024, size
        self.norm, self.linear = nn.BatchNorm1d(64), nn.Linear(64, size)

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        bands = torch.fft.rfft(waveform.float()).abs()[:, :512].unflatten(1, (64, 8)).sum(dim=2)
        return self.linear(self.norm((bands + 1e-3).log())).float()


class ToyMomentum(Method):
    """Pulls a dropped-out view towards a slow copy's, away from a memory bank: EMA, buffers, randomness."""

    def __init__(self, encoder: Encoder, seed: int = 0) -> None:
        super().__init__(MethodConfig(), encoder)
        self.slow = ToyEncoder(encoder.embedding_size).requires_grad_(False)
        self.slow.load_state_dict(encoder.state_dict())
        self.bank = MemoryBank(32, encoder.embedding_size, torch_stream(seed, "bank"))
        self.dropout = nn.Dropout(0.2)

    def crops(self) -> CropRequest:
        return CropRequest(2, self.encoder.window)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        clips, samples = batch.waveforms[:, 0].shape
        noise = 1e-3 * share(torch.randn((clips * world_size(), samples), generator=generator))
        h = self.encoder(batch.waveforms[:, 0] + noise)
        query = functional.normalize(self.dropout(h), dim=1)
        with torch.no_grad():
            self.key = functional.normalize(self.slow(batch.waveforms[:, 1]), dim=1)
        logits = torch.cat([(query * self.key).sum(dim=1, keepdim=True), query @ self.bank.embeddings.T], dim=1) / 0.2
        loss = functional.cross_entropy(logits.float(), torch.zeros(len(h), dtype=torch.int64))
        return Step(loss, h, {"positive": logits[:, 0].mean().detach()})

    def after_step(self, step: int) -> None:
        update_ema(self.slow, self.encoder, 0.9)
        self.bank.push(self.key)


def build(method: type[Method] = ToyMomentum, training: Training | None = None, **kwargs: Any) -> TrainingState:
    """A fresh state under a fixed seed."""
    with isolated_torch_seed(0, "toy"):
        made = (
            method(ToyEncoder(), **kwargs) if method is ToyMomentum else method(MethodConfig(), ToyEncoder(), **kwargs)
        )
    return TrainingState(made, build_optimizer(training or toy_training(), made), [])


def toy_training(**changes: Any) -> Training:
    settings = {"optimizer": "adam", "lr": 1e-3, "steps": 12, "batch_size": 8, "log_every": 2, "checkpoint_every": 3}
    return Training(**{**settings, **changes})


def toy_data(corpus: Corpus, method: Method, training: Training, device: torch.device | str = "cpu") -> TrainingData:
    source = Source(corpus, np.arange(len(corpus)))
    return TrainingData([source], method.crops(), training.batch_size, seed=0, run="toy", device=device)


def trainer(folder: Path, corpus: Corpus, state: TrainingState, training: Training, **changes: Any) -> Trainer:
    """A trainer whose checkpoints and curves lie in ``folder``, restored from what lies there."""
    checkpoints = Checkpoints(folder / "checkpoints", "key")
    checkpoints.restore(state)
    data = toy_data(corpus, state.method, training, next(state.method.parameters()).device)
    curves = Curves(folder / "curves", state.history)
    return Trainer("toy", 0, data, training, training.steps or 0, checkpoints, curves, **changes)
