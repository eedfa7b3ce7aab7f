"""Embeddings of waveforms in memory, by the windows and means of evaluation: what leaves the pipeline is what it scored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.config import Protocol
from benchmark.corpus.store import Short
from benchmark.evaluation.embedding import SAMPLES_A_BATCH, WINDOWS_A_BATCH, window_starts
from benchmark.signal.encoder import Encoder

HOP_SECONDS: float = Protocol.model_fields["hop"].default
"""Between fixed windows, as protocols have it unless they say otherwise."""
SHORT: Short = Protocol.model_fields["short"].default
"""What a clip shorter than a window becomes."""
TIMESTAMP_HOP_SECONDS = 0.04
"""Between timestamps: at most 50 ms is asked for, and 40 ms is a whole number of samples at every rate of the HEAR API."""
CLIP_ENCODER_SECONDS = 1.0
"""What an encoder of whole clips sees around a timestamp."""


def embed_slices(encoder: Encoder, audio: Tensor) -> tuple[Tensor, NDArray[np.float64], float]:
    """Embed clips of equal length slice by slice, as :func:`benchmark.evaluation.embedding.embed` does.

    Args:
        encoder: in evaluation mode, on the device of ``audio``.
        audio: ``(B, T)`` float32 in [-1, 1] at the encoder's sample rate, T at least 1.

    Returns:
        ``(B, S, D)`` embeddings, the start of each slice ``(S,)`` and the length of a slice, in seconds.
    """
    samples, rate = audio.shape[1], encoder.sample_rate
    if encoder.scope == "clip":
        whole = _in_batches(max(1, SAMPLES_A_BATCH // samples), len(audio), lambda clips: encoder(audio[clips]))
        return whole[:, None], np.zeros(1), samples / rate
    window = encoder.window
    _, starts = window_starts(np.array([samples]), window, round(HOP_SECONDS * rate))
    if samples < window:
        audio = _lengthened(audio, window)
    return _embed_at(encoder, audio, starts, window), starts / rate, window / rate


def embed_clips(encoder: Encoder, audio: Tensor) -> Tensor:
    """Clips of equal length ``(B, T)`` to the mean of their slices ``(B, D)``, float32."""
    slices, _, _ = embed_slices(encoder, audio)
    return slices.double().mean(dim=1).float()


def embed_timestamps(encoder: Encoder, audio: Tensor) -> tuple[Tensor, Tensor]:
    """Embed what lies around every 40 ms of clips of equal length ``(B, T)``; beyond their ends is silence.

    Returns:
        ``(B, N, D)`` embeddings of windows whose centres are the timestamps ``(B, N)``, in milliseconds: 0, 40, ... up to
        the clip's end.
    """
    rate = encoder.sample_rate
    window = encoder.window or round(CLIP_ENCODER_SECONDS * rate)
    hop = round(TIMESTAMP_HOP_SECONDS * rate)
    centres = np.arange(0, audio.shape[1] + 1, hop)
    padded = torch.nn.functional.pad(audio, (window // 2, window - window // 2))
    milliseconds = torch.from_numpy(centres * (1000 / rate)).to(audio.device, torch.float32)
    return _embed_at(encoder, padded, centres, window), milliseconds.expand(len(audio), -1).clone()


def _embed_at(encoder: Encoder, audio: Tensor, starts: NDArray[np.int64], window: int) -> Tensor:
    """Embed the windows of all clips ``(B, T)`` from the ``starts`` ``(S,)`` on: ``(B, S, D)``."""
    clips, count = len(audio), len(starts)
    first = torch.from_numpy(starts).to(audio.device).repeat(clips)
    clip = torch.arange(clips, device=audio.device).repeat_interleave(count)
    windows = audio.unfold(1, window, 1)  # a view, (B, T - window + 1, window)
    batch = WINDOWS_A_BATCH[audio.device.type]
    flat = _in_batches(batch, clips * count, lambda part: encoder(windows[clip[part], first[part]]))
    return flat.reshape(clips, count, -1)


def _in_batches(size: int, total: int, embed: Callable[[slice], Tensor]) -> Tensor:
    parts = [embed(slice(start, min(start + size, total))).float() for start in range(0, total, size)]
    return torch.cat(parts)


def _lengthened(audio: Tensor, window: int) -> Tensor:
    """Clips shorter than a window, begun again or followed by silence."""
    samples = audio.shape[1]
    if SHORT == "pad":
        return torch.nn.functional.pad(audio, (0, window - samples))
    return audio[:, torch.arange(window, device=audio.device) % samples]
