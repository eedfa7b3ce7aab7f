"""A contrastive epoch of fonseca2021 through whole-batch views against the per-item style of its released code.

Baseline: log-mel spectrograms of whole clips in memory (``--items waveforms``: waveforms, of which each patch is transformed
as it is cut); for every item a loader worker cuts two patches, mixes each with a patch of another clip, crops and resizes it with
Pillow, compresses it and adds noise, one item after the other in numpy. Candidate: the packed corpus, from which whole batches of
waveforms become log-mels and views on the device, the front-end included. Both train the same network by the same loss. Printed
are the ratio of epochs (target 5), that of the views alone, and by how much the two ways differ in mean, deviation and change
from bin to bin of their patches. On a CPU the network's own time bounds the first; the released code on its GPU has 8 workers.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmark.config import Machine
from benchmark.corpus.store import Corpus
from benchmark.pretraining.data import Source, TrainingData
from benchmark.pretraining.device import deterministic_torch, with_gradients
from benchmark.pretraining.export import build_encoder
from benchmark.pretraining.method import Step
from benchmark.pretraining.schedule import build_optimizer
from benchmark.seeding import isolated_torch_seed, torch_stream
from benchmark.signal.crops import to_waveforms
from benchmark.signal.frontend import FONSECA2021, LogMel
from methods._losses import nt_xent
from methods.simclr import Simclr, SimclrConfig
from perf.measure import alternate, report
from perf.training_step import standin_corpus

RATE, FRAMES = 22_050, 101
Patch = NDArray[np.float32]
FRONTEND = FONSECA2021.model_copy(update={"normalise_waveform": False}).model_dump()
"""Waveforms as they are: the released code normalises whole clips, this project crops, and statistics are to be compared."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batches", type=int, default=8, help="of an epoch")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--width", type=float, default=0.0625, help="of ResNet-18")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", choices=["float32", "tf32", "bf16"], default="float32")
    parser.add_argument("--items", choices=["spectrograms", "waveforms"], default="spectrograms")
    options = parser.parse_args()
    machine = Machine(device=options.device, threads=options.threads)
    with tempfile.TemporaryDirectory() as folder, deterministic_torch(machine) as device:
        corpus = standin_corpus(Path(folder), options.threads, RATE)
        whole, items = WholeBatches(corpus, options, device), PerItem(corpus, options, device)
        views = alternate(items.views, whole.views, options.repeats)
        epochs = alternate(items.train, whole.train, options.repeats)
        difference = compared(items.batches(), whole.batches())
    facts: dict[str, Any] = {
        **vars(options),
        "clips": options.batches * options.batch_size,
        "views_ratio": views["ratio"],
        "views_baseline_s": views["baseline_s"],
        "views_candidate_s": views["candidate_s"],
    }
    report("pretraining_epoch", {**facts, "difference": difference, **epochs})


class Way:
    """A network, its optimiser, and batches of augmented patches ``(B, 2, F, N)`` made in some way."""

    def __init__(self, corpus: Corpus, options: argparse.Namespace, device: torch.device) -> None:
        self.corpus, self.options, self.device = corpus, options, device
        with isolated_torch_seed(0, "perf"):
            encoder = build_encoder("resnet18", {"width": options.width, "frontend": FRONTEND})
            self.method = Simclr(SimclrConfig(), encoder).to(device)
        self.optimizer = build_optimizer(Simclr.default_training, self.method)

    def batches(self) -> Iterator[Tensor]:
        """One epoch."""
        raise NotImplementedError

    def views(self) -> None:
        """Make an epoch's views."""
        for patches in self.batches():
            patches.sum().item()

    def train(self) -> None:
        """Train an epoch."""
        for patches in self.batches():
            self.optimizer.zero_grad()
            step = with_gradients(partial(self._contrasted, patches), self.options.precision, self.device)
            self.optimizer.step()
        step.loss.item()  # waits for the device

    def _contrasted(self, patches: Tensor) -> Step:
        embeddings = (self.method.encoder.embed(patches[:, view]) for view in (0, 1))
        return Step(nt_xent(*map(self.method.projector, embeddings), 0.2))


class WholeBatches(Way):
    """This project's."""

    def batches(self) -> Iterator[Tensor]:
        """See :class:`Way`; the clips of the small stand-in are visited again and again."""
        source = Source(
            self.corpus, np.resize(np.arange(len(self.corpus)), self.options.batches * self.options.batch_size)
        )
        data = TrainingData(
            [source], self.method.crops(), self.options.batch_size, seed=0, run="perf", device=self.device
        )
        for step, batch in enumerate(data.batches(0, self.options.batches)):
            yield self.method.views(batch.waveforms, torch_stream(0, "perf", step, device=self.device))[0]


class PerItem(Way):
    """The released code's, whose spectrograms are made beforehand; or that of code which transforms each patch."""

    def __init__(self, corpus: Corpus, options: argparse.Namespace, device: torch.device) -> None:
        super().__init__(corpus, options, device)
        items = Items(corpus, self.method, options.batches * options.batch_size, options.items)
        self.loader = DataLoader(
            items,
            options.batch_size,
            num_workers=options.workers,
            persistent_workers=True,
            pin_memory=device.type == "cuda",
        )

    def batches(self) -> Iterator[Tensor]:
        """See :class:`Way`."""
        for patches in self.loader:
            yield self.method.encoder.standardise(patches.to(self.device, non_blocking=True))


class Items(Dataset[Tensor]):
    """Two augmented views of a clip at a time, in numpy and Pillow."""

    def __init__(self, corpus: Corpus, method: Simclr, count: int, items: str) -> None:
        self.config, self.count = method.config, count
        self.frontend, self.window = LogMel(method.encoder.frontend.config), method.encoder.window
        clips = (to_waveforms(corpus.clip(row).copy()).numpy() for row in range(len(corpus)))
        waveforms = [np.resize(clip, max(len(clip), self.window)) for clip in clips]
        self.transformed = items == "spectrograms"
        self.clips = [self._log_mel(wave) for wave in waveforms] if self.transformed else waveforms

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        generator = np.random.default_rng(index)
        clips = len(self.clips)
        own = index % clips
        weight = generator.uniform(0, self.config.mix_back.alpha)
        others = generator.choice(np.delete(np.arange(clips), own), 2, replace=False)
        views = [self._view(generator, own, int(other), weight) for other in others]
        return torch.from_numpy(np.stack(views))

    def _patch(self, generator: np.random.Generator, clip: Patch) -> Patch:
        if self.transformed:
            return cut(generator, clip, FRAMES)
        return self._log_mel(cut(generator, clip, self.window))

    def _log_mel(self, waveform: Patch) -> Patch:
        patch: Patch = self.frontend(torch.from_numpy(waveform)[None])[0].numpy()
        return patch

    def _view(self, generator: np.random.Generator, own: int, other: int, weight: float) -> Patch:
        foreground, background = (10.0 ** self._patch(generator, self.clips[clip]) for clip in (own, other))
        ratio = foreground.sum() / background.sum()
        patch = np.log10((1 - weight) * foreground + weight * ratio * background)
        patch = resized_crop(generator, patch.astype(np.float32), self.config)
        patch = patch * generator.uniform(self.config.compression, 1)
        patch = patch + generator.normal(0, generator.uniform(0, self.config.noise), patch.shape)
        return patch.astype(np.float32)


def cut(generator: np.random.Generator, clip: Patch, length: int) -> Patch:
    """A random part of the last axis, e.g. of a spectrogram ``(F, N)`` or a waveform ``(T,)``."""
    start = generator.integers(0, clip.shape[-1] - length, endpoint=True)
    return clip[..., start : start + length]


def resized_crop(generator: np.random.Generator, patch: Patch, config: SimclrConfig) -> Patch:
    """Ten tries, then the whole patch, as torchvision's."""
    bands, frames = patch.shape
    height, width = bands, frames
    for _ in range(10):
        area = generator.uniform(*config.resized_crop.area) * bands * frames
        ratio = math.exp(generator.uniform(*np.log(config.resized_crop.aspect)))
        tried = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if tried[0] <= bands and tried[1] <= frames:
            height, width = tried
            break
    top, left = generator.integers(bands - height, endpoint=True), generator.integers(frames - width, endpoint=True)
    crop = Image.fromarray(patch[top : top + height, left : left + width])
    return np.asarray(crop.resize((frames, bands), Image.Resampling.BILINEAR))


def compared(one: Iterator[Tensor], other: Iterator[Tensor]) -> dict[str, float]:
    """How far the patches of two epochs are apart: in means, in deviations of the second, and in spreads, as ratios less one."""
    spreads: dict[str, Callable[[Tensor], Tensor]] = {
        "deviation": lambda x: x.std(),
        "frame_change": lambda x: x.diff(dim=-1).abs().mean(),
        "band_change": lambda x: x.diff(dim=-2).abs().mean(),
    }
    first, second = (torch.cat(list(epoch)) for epoch in (one, other))
    means = {"mean_in_deviations": abs(float((first.mean() - second.mean()) / second.std()))}
    return means | {name: abs(float(spread(first) / spread(second)) - 1) for name, spread in spreads.items()}


if __name__ == "__main__":
    main()
