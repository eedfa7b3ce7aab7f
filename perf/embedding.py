"""Embedding clips of ESC-10 with the CNN of tagliasacchi2020: ours against the usual batches and memory format.

The windows are the same. The recordings are real where BENCHMARK_DATA holds them, else stand-ins. Target: at least 2
times as fast, with embeddings that agree to a relative 1e-5. Beside it the share of the time
that goes into convolutions and matrix products themselves: where it nears 1, nothing but arithmetic is left to save; and
the layers that go through Winograd's filtering, each against its direct convolution.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.profiler import ProfilerActivity, profile

from benchmark import registry
from benchmark.corpus.prepare import prepare
from benchmark.corpus.splits import selected
from benchmark.corpus.standin import ensure_standin
from benchmark.corpus.store import Corpus
from benchmark.evaluation.embedding import WINDOWS_A_BATCH, embed, window_starts
from benchmark.seeding import isolated_torch_seed
from benchmark.signal.crops import to_waveforms
from benchmark.signal.encoder import Encoder
from benchmark.signal.inference import for_inference
from benchmark.signal.winograd import WinogradConv2d
from perf.measure import alternate, report

CLIPS = 100
HOP_SECONDS = 0.975
RATE = 16_000
THREADS = 2
USUAL_BATCH = 160


def prepared_esc50(folder: Path) -> Corpus:
    """ESC-50, decoded under ``folder``."""
    dataset = registry.load("dataset", "esc50")
    data = os.environ.get("BENCHMARK_DATA")
    raw = Path(data) / dataset.folder if data else folder / "standin"
    if not data:
        ensure_standin(dataset, raw)
    prepare(dataset, raw, folder / "corpus", RATE, THREADS, standin=not data, cache=folder / "cache")
    return Corpus.open(folder / "corpus")


def published_encoder(width: float = 1.0) -> Encoder:
    """The CNN with seeded initial weights, at full width unless told otherwise, in evaluation mode."""
    encoder_class: type[Encoder] = registry.load("encoder", "tagliasacchi_cnn")
    with isolated_torch_seed(0, "perf", "encoder"):
        return encoder_class(encoder_class.Config(width=width)).eval()


@torch.inference_mode()
def embed_as_usual(encoder: Encoder, corpus: Corpus, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    samples = corpus.clips["samples"].to_numpy(np.int64)[rows]
    clip, starts = window_starts(samples, encoder.window, round(HOP_SECONDS * corpus.sample_rate))
    parts = []
    for first in range(0, len(clip), USUAL_BATCH):
        part = slice(first, first + USUAL_BATCH)
        parts.append(encoder(to_waveforms(corpus.gather(rows[clip[part]], starts[part], encoder.window, "tile"))))
    embeddings: NDArray[np.float32] = torch.cat(parts).numpy()
    return embeddings


def share_in_products(embed_all: Callable[[], object]) -> float:
    """Share of the processor time that is spent inside convolutions and matrix products: what no arrangement can save."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        embed_all()
    own = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    return float(sum(time for key, time in own.items() if re.search("convolution|::b?mm$", key)) / sum(own.values()))


@torch.inference_mode()
def winograd_layers(encoder: Encoder, waveforms: torch.Tensor) -> list[dict[str, object]]:
    """Each layer that goes through Winograd's filtering, against oneDNN's direct convolution on the same image."""
    ready = for_inference(encoder)
    layers = [module for module in ready.modules() if isinstance(module, WinogradConv2d)]
    images: list[torch.Tensor] = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda _, inputs: images.append(inputs[0].clone()))
    ready(waveforms)
    return [
        {"image": list(image.shape), "outputs": layer.direct.out_channels}
        | alternate(partial(layer.direct, image), partial(layer.forward, image), repeats=9)
        for layer, image in zip(layers, images, strict=True)
    ]


def measure(folder: Path) -> dict[str, object]:
    corpus = prepared_esc50(folder)
    rows = selected(registry.load("task", "esc10"), corpus.clips)[:CLIPS]
    ours, usual = published_encoder(), published_encoder()
    convert_conv2d_weight_memory_format(usual, torch.contiguous_format)
    expected, embeddings = embed_as_usual(usual, corpus, rows), embed(ours, corpus, rows, HOP_SECONDS).slices
    times = alternate(
        lambda: embed_as_usual(usual, corpus, rows), lambda: embed(ours, corpus, rows, HOP_SECONDS), repeats=5
    )
    return {
        "audio": f"{len(rows)} clips of ESC-10, {'stand-in' if corpus.standin else 'real'}",
        "windows": len(embeddings),
        "baseline": f"{USUAL_BATCH} windows a batch, contiguous weights",
        **times,
        "target_ratio": 2,
        "share_in_products": share_in_products(lambda: embed(ours, corpus, rows, HOP_SECONDS)),
        "winograd_layers": winograd_layers(ours, 0.1 * torch.randn(WINDOWS_A_BATCH["cpu"], ours.window)),
        "relative_error": float(np.linalg.norm(embeddings - expected) / np.linalg.norm(expected)),
        "target_relative_error": 1e-5,
    }


def main() -> None:
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        report("embedding", measure(Path(folder)))


if __name__ == "__main__":
    main()
