"""Embeddings of fixed crops: computed once for each encoder and corpus, then cached by content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from benchmark.artifacts import Arrays
from benchmark.corpus.store import Corpus, Short
from benchmark.distributed import rank, unite, world_size
from benchmark.signal.crops import FULL_SCALE, to_waveforms
from benchmark.signal.encoder import Encoder
from benchmark.signal.inference import for_inference

SILENCE = 1e-3
"""A slice whose peak is below this share of full scale counts as silent."""

WINDOWS_A_BATCH = {"cpu": 16, "cuda": 256}
"""On a CPU small batches stay in the cache: faster than large ones (docs/performance.md), and the same numbers."""

SAMPLES_A_BATCH = 1 << 21
"""Of whole clips, padding included: memory does not grow with their length, but for a single longer clip."""

Ints = NDArray[np.int64]
Remainder = Literal["keep", "drop"]


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of n clips, slice by slice."""

    slices: NDArray[np.float32]
    """``(S, D)``"""
    clip_of_slice: Ints
    """``(S,)`` position of each slice's clip, ascending."""
    silent: NDArray[np.bool_]
    """``(S,)``"""

    @property
    def clips(self) -> NDArray[np.float32]:
        """Mean embedding of each clip, ``(n, D)``."""
        starts = np.flatnonzero(np.diff(self.clip_of_slice, prepend=-1))
        counts = np.diff(starts, append=len(self.clip_of_slice))
        sums = np.add.reduceat(self.slices.astype(np.float64), starts, axis=0)
        return (sums / counts[:, None]).astype(np.float32)

    def arrays(self) -> Arrays:
        """For the cache."""
        return {"slices": self.slices, "clip_of_slice": self.clip_of_slice, "silent": self.silent}


def window_starts(samples: Ints, window: int, hop: int, remainder: Remainder = "keep") -> tuple[Ints, Ints]:
    """Fixed crops of clips of ``samples (n,)`` samples: one every ``hop`` samples as long as it fits.

    A last crop that ends with the clip is added where at least half a hop would go unseen, unless the remainder is to be
    dropped. A clip no longer than a window has one crop, from its start.

    Returns:
        Position of the clip and first sample of every crop, each ``(S,)``, clip by clip and ascending.
    """
    regular = 1 + np.maximum(samples - window, 0) // hop
    unseen = samples - window - (regular - 1) * hop
    count = regular + (2 * unseen >= hop) * (remainder == "keep")
    clip = np.repeat(np.arange(len(samples)), count)
    number = np.arange(len(clip)) - np.repeat(np.cumsum(count) - count, count)
    starts = np.where(number < regular[clip], number * hop, samples[clip] - window)
    return clip, starts.astype(np.int64)


def embed(
    encoder: Encoder,
    corpus: Corpus,
    rows: Ints,
    hop_seconds: float,
    device: torch.device | str = "cpu",
    short: Short = "tile",
    progress: str | None = None,
    remainder: Remainder = "keep",
) -> Embeddings:
    """Embed the clips ``rows (n,)`` of a corpus.

    Encoders of scope ``window`` see fixed crops (:func:`window_starts`); those of scope ``clip`` see whole clips, each one slice.
    Several ranks share the batches that one process would make and each return all embeddings, to the same bits.
    A clip's embeddings do not depend on the other clips; memory does not grow with the corpus but for the result.

    Args:
        encoder: in evaluation mode, so that batch-norm statistics cannot move.
        corpus: at the encoder's sample rate.
        rows: which clips.
        hop_seconds: between fixed crops.
        device: where to compute.
        short: what a clip shorter than a window becomes.
        progress: title of the progress bar; None shows none.
        remainder: see :func:`window_starts`.

    Raises:
        ValueError: a module of the encoder is in training mode, or the sample rates differ.
    """
    if encoder.sample_rate != corpus.sample_rate:
        raise ValueError(f"an encoder of {encoder.sample_rate} Hz cannot read a corpus of {corpus.sample_rate} Hz")
    encoder = for_inference(encoder).to(device)
    with torch.inference_mode():
        if encoder.scope == "clip":
            return _embed_clips(encoder, corpus, rows, device, progress)
        hop = round(hop_seconds * corpus.sample_rate)
        return _embed_windows(encoder, corpus, rows, hop, device, short, progress, remainder)


def _embed_windows(
    encoder: Encoder,
    corpus: Corpus,
    rows: Ints,
    hop: int,
    device: torch.device | str,
    short: Short,
    progress: str | None,
    remainder: Remainder,
) -> Embeddings:
    samples = corpus.clips["samples"].to_numpy(np.int64)[rows]
    clip, starts = window_starts(samples, encoder.window, hop, remainder)
    slices = np.zeros((len(clip), encoder.embedding_size), np.float32)
    silent = np.zeros(len(clip), bool)
    batch = WINDOWS_A_BATCH[torch.device(device).type]
    parts = (slice(start, min(start + batch, len(clip))) for start in range(0, len(clip), batch))
    for part in _with_progress(_own(parts), len(clip), progress):
        crops = corpus.gather(rows[clip[part]], starts[part], encoder.window, short)
        slices[part] = encoder(to_waveforms(crops, device)).float().cpu().numpy()
        silent[part] = _is_silent(crops)
    unite(slices)
    unite(silent)
    return Embeddings(slices, clip, silent)


def _embed_clips(
    encoder: Encoder, corpus: Corpus, rows: Ints, device: torch.device | str, progress: str | None
) -> Embeddings:
    samples = corpus.clips["samples"].to_numpy(np.int64)[rows]
    by_length = np.argsort(samples, kind="stable")  # clips of like length share a batch, so little is padding
    slices = np.zeros((len(rows), encoder.embedding_size), np.float32)
    silent = np.zeros(len(rows), bool)
    for part in _with_progress(_own(_alike(samples[by_length])), len(rows), progress):
        chosen = by_length[part]
        crops = corpus.gather(rows[chosen], np.zeros(len(chosen), np.int64), int(samples[chosen].max()), "pad")
        lengths = torch.from_numpy(samples[chosen]).to(device)
        slices[chosen] = encoder(to_waveforms(crops, device), lengths).float().cpu().numpy()
        silent[chosen] = _is_silent(crops)
    unite(slices)
    unite(silent)
    return Embeddings(slices, np.arange(len(rows)), silent)


def _alike(samples: Ints) -> Iterator[slice]:
    """Batches of clips in ascending order of length that stay within the memory allowed."""
    start = 0
    for end in range(1, len(samples) + 1):
        if end == len(samples) or (end + 1 - start) * samples[end] > SAMPLES_A_BATCH:
            yield slice(start, end)
            start = end


def _own(parts: Iterable[slice]) -> Iterator[slice]:
    """Every so many batches one, where ranks share them: neighbours are of like length."""
    return islice(parts, rank(), None, world_size())


def _with_progress(parts: Iterable[slice], total: int, title: str | None) -> Iterator[slice]:
    hidden = True if title is None or rank() else None
    with tqdm(total=total // world_size(), desc=title, unit="slice", disable=hidden) as bar:
        for part in parts:
            yield part
            bar.update(part.stop - part.start)


def _is_silent(crops: NDArray[np.int16]) -> NDArray[np.bool_]:
    peak: NDArray[np.int32] = np.abs(crops.astype(np.int32)).max(axis=1)
    return np.less(peak, SILENCE * FULL_SCALE)
