"""Every exported encoder as a module of the HEAR API (hearbenchmark.com/hear-api).

``load_model("build/<profile>/runs/<run>/all.safetensors")`` gives the model. A scene embedding is the clip embedding that the
pipeline scores: the mean over fixed windows, a short clip begun again to fill one. Timestamps are 40 ms apart, each the
centre of a window.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from benchmark.errors import ConfigError
from benchmark.evaluation.waveforms import embed_clips, embed_timestamps
from benchmark.pretraining.export import load_part
from benchmark.signal.encoder import Encoder
from benchmark.signal.inference import for_inference


class HearEncoder(nn.Module):
    """An exported encoder with the attributes that the HEAR API asks for."""

    def __init__(self, encoder: Encoder) -> None:
        """Make a model of an encoder in evaluation mode, which stays as it is."""
        super().__init__()
        self.encoder = for_inference(encoder)
        self.sample_rate = encoder.sample_rate
        self.scene_embedding_size = encoder.embedding_size
        self.timestamp_embedding_size = encoder.embedding_size

    def forward(self, audio: Tensor) -> Tensor:
        """Scene embeddings ``(B, D)`` of clips of equal length ``(B, T)``."""
        return embed_clips(self.encoder, audio)


def load_model(model_file_path: str = "") -> HearEncoder:
    """The model in an exported file, on the CPU.

    Raises:
        ConfigError: no file is named.
        StaleArtifactError, CorruptArtifactError: it does not exist, or is damaged.
    """
    if not model_file_path:
        raise ConfigError(
            "benchmark.hear holds no weights of its own; give load_model an exported encoder, "
            "for example build/sandbox/runs/simclr_us8k-0/all.safetensors."
        )
    encoder, _, _ = load_part(Path(model_file_path))
    return HearEncoder(encoder)


@torch.no_grad()
def get_scene_embeddings(audio: Tensor, model: HearEncoder) -> Tensor:
    """Embed whole clips.

    Args:
        audio: ``(B, T)`` mono in [-1, 1] at the model's sample rate, T at least 1.
        model: from :func:`load_model`; it is moved to the audio's device.

    Returns:
        ``(B, D)`` float32.

    Raises:
        ConfigError: the audio has another shape.
    """
    embeddings: Tensor = _ready(audio, model)(audio.float())
    return embeddings


@torch.no_grad()
def get_timestamp_embeddings(audio: Tensor, model: HearEncoder) -> tuple[Tensor, Tensor]:
    """Embed clips ``(B, T)`` around every 40 ms: ``(B, N, D)`` float32 and the timestamps ``(B, N)`` in milliseconds.

    Raises:
        ConfigError: the audio has another shape.
    """
    return embed_timestamps(_ready(audio, model).encoder, audio.float())


def _ready(audio: Tensor, model: HearEncoder) -> HearEncoder:
    if audio.ndim != 2 or 0 in audio.shape:
        raise ConfigError(
            f"The HEAR API embeds mono audio (clips, samples) with at least one of each, not {tuple(audio.shape)}."
        )
    return model.eval().to(audio.device)
