"""A model from outside, as small as one can be: statistics of log band energies, projected by a matrix from a file.

It speaks the HEAR API (hearbenchmark.com/hear-api) and knows nothing of the benchmark:

    PYTHONPATH=examples/outside_model benchmark evaluate --model logmel_projection --weights projection.safetensors
"""

from __future__ import annotations

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

SAMPLE_RATE = 22_050
BANDS = 64
SIZE = 96
FFT, HOP = 1024, 441


class LogmelProjection(nn.Module):
    """Mean and standard deviation over time of log band energies, times a matrix."""

    sample_rate = SAMPLE_RATE
    scene_embedding_size = SIZE
    timestamp_embedding_size = BANDS

    def __init__(self, projection: Tensor) -> None:
        super().__init__()
        self.register_buffer("projection", projection)
        self.register_buffer("window", torch.hann_window(FFT))

    def bands(self, audio: Tensor) -> Tensor:
        """``(B, T)`` to log energies ``(B, 64, N)`` of frames whose centres are 20 ms apart."""
        padded = nn.functional.pad(audio, (FFT // 2, FFT // 2))
        spectrum = (
            torch.stft(padded, FFT, HOP, window=self.window, center=False, return_complex=True).abs()[:, 1:].square()
        )
        return (nn.functional.adaptive_avg_pool1d(spectrum.transpose(1, 2), BANDS).transpose(1, 2) + 1e-6).log()


def load_model(model_file_path: str = "") -> LogmelProjection:
    """The model with the file's matrix, or with a random one."""
    return LogmelProjection(load_file(model_file_path)["projection"] if model_file_path else random_projection(0))


def get_scene_embeddings(audio: Tensor, model: LogmelProjection) -> Tensor:
    """``(B, T)`` to ``(B, 96)``."""
    bands = model.bands(audio)
    return torch.cat([bands.mean(2), bands.std(2, unbiased=False)], 1) @ model.projection


def get_timestamp_embeddings(audio: Tensor, model: LogmelProjection) -> tuple[Tensor, Tensor]:
    """``(B, T)`` to ``(B, N, 64)`` and the frames' centres in milliseconds."""
    frames = model.bands(audio).transpose(1, 2)
    centres = torch.arange(frames.shape[1], device=audio.device) * (1000.0 * HOP / SAMPLE_RATE)
    return frames, centres.expand(len(audio), -1)


def random_projection(seed: int) -> Tensor:
    """``(128, 96)``."""
    return torch.randn(2 * BANDS, SIZE, generator=torch.Generator().manual_seed(seed)) / (2 * BANDS) ** 0.5


def write_weights(path: str, seed: int = 0) -> None:
    """Write a weights file."""
    save_file({"projection": random_projection(seed)}, path)
