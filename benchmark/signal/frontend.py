"""Log-mel front-end: waveform batch to log-mel batch, on whatever device the waveform lies on.

A frame is the window's own samples, zero-padded to ``n_fft`` after windowing. Where a paper centres a short window in a
longer ``n_fft`` this gives the same magnitudes (only the phase differs), so both published settings share one path.
"""

from __future__ import annotations

import math
from typing import Literal, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from benchmark.config import Config, Count, Positive
from benchmark.errors import DataError

CHUNK_BYTES = 4 << 20
"""Complex spectrum that a CPU chunk may fill: what stays in cache between the transform and the mel matrix."""


class LogMelConfig(Config):
    """Settings of a log-mel front-end. Every field is stated: papers differ in each of them."""

    sample_rate: Count = Field(description="Hz")
    n_fft: Count = Field(description="length of the transform in samples")
    win_length: Count = Field(description="length of the window in samples; zero-padded to n_fft")
    hop: Count = Field(description="samples between frames")
    window: Literal["hann", "hamming"] = Field(description="periodic window")
    centre: bool = Field(description="frame n is centred on sample n * hop, with reflected edges; else it starts there")
    spectrum: Literal["magnitude", "power"]
    n_mels: Count
    f_min: float = Field(ge=0.0, description="Hz")
    f_max: Positive = Field(description="Hz")
    mel_scale: Literal["htk", "slaney"] = Field(description="filters are triangles of height 1 in either case")
    log: Literal["ln", "log10"]
    floor: Positive = Field(description="keeps the logarithm finite")
    floor_rule: Literal["clamp", "add"] = Field(description="log(max(mel, floor)) or log(mel + floor)")
    normalise_waveform: bool = Field(description="apply normalise_waveform to each waveform first")

    @model_validator(mode="after")
    def _consistent(self) -> LogMelConfig:
        if self.win_length > self.n_fft:
            raise ValueError(f"win_length {self.win_length} is longer than n_fft {self.n_fft}")
        if not self.f_min < self.f_max <= self.sample_rate / 2:
            limits = f"{self.f_min:g} and {self.f_max:g}"
            raise ValueError(f"f_min and f_max must rise to at most {self.sample_rate / 2:g} Hz, not {limits}")
        return self


TAGLIASACCHI2020 = LogMelConfig(
    sample_rate=16_000,
    n_fft=512,
    win_length=400,
    hop=160,
    window="hann",
    centre=False,
    spectrum="magnitude",
    n_mels=64,
    f_min=60.0,
    f_max=7800.0,
    mel_scale="htk",
    log="ln",
    floor=1e-5,
    floor_rule="clamp",
    normalise_waveform=False,
)
"""tagliasacchi2020 §IV: 25 ms windows every 10 ms, 64 mels 60-7800 Hz, logarithm of the modulus; 975 ms give 96 frames.

The paper is silent on n_fft (chosen: the next power of two), the window (Hann), the floor (that of COLA, from the same
laboratory) and the mel scale (HTK).
"""

FONSECA2021 = LogMelConfig(
    sample_rate=22_050,
    n_fft=2048,
    win_length=660,
    hop=220,
    window="hamming",
    centre=True,
    spectrum="power",
    n_mels=96,
    f_min=50.0,
    f_max=10_500.0,
    mel_scale="slaney",
    log="log10",
    floor=1.1e-8,
    floor_rule="add",
    normalise_waveform=True,
)
"""fonseca2021 §2 and its released code: 30 ms windows every 10 ms, 96 Slaney mels 50-10,500 Hz; 1 s gives 101 frames.

The released code slices one spectrogram of each whole clip. Here each crop is normalised by its own mean and peak and
reflected at its own edges, which touches its first and last two frames. The code also adds 1.1e-8 to every sample; left
out, as it moves nothing but digital silence, and that by less than 1e-3.
"""


def normalise_waveform(waveform: Tensor) -> Tensor:
    """Subtract the mean and divide by the peak plus 0.005, over the last axis (fonseca2021, released code).

    The released code does this to whole clips. Applied to crops, each crop is brought to the same peak, and level
    differences between the crops of a clip are lost.
    """
    centred = waveform - waveform.mean(dim=-1, keepdim=True)
    return centred / (centred.abs().amax(dim=-1, keepdim=True) + 0.005)


class LogMel(nn.Module):
    """Log-mel spectrogram without weights.

    Shape: ``(..., T)`` float32 waveforms at ``config.sample_rate`` to ``(..., F, N)`` with ``N = frames(T)``.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: LogMelConfig) -> None:
        super().__init__()
        self.config = config
        make_window = {"hann": torch.hann_window, "hamming": torch.hamming_window}[config.window]
        filters = melscale_fbanks(
            config.n_fft // 2 + 1, config.f_min, config.f_max, config.n_mels, config.sample_rate, None, config.mel_scale
        )
        self.register_buffer("window", make_window(config.win_length, periodic=True), persistent=False)
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)

    @property
    def _edges(self) -> tuple[int, int]:
        """Reflected samples before and after the waveform, given that a frame is the window alone."""
        if not self.config.centre:
            return 0, 0
        left = self.config.n_fft // 2 - (self.config.n_fft - self.config.win_length) // 2
        return left, self.config.win_length - left

    def frames(self, samples: int) -> int:
        """Frames of a waveform of ``samples`` samples; 0 where it is shorter than a window."""
        return max(0, 1 + (samples + sum(self._edges) - self.config.win_length) // self.config.hop)

    def samples(self, frames: int) -> int:
        """The fewest samples that give ``frames`` frames."""
        return (frames - 1) * self.config.hop + self.config.win_length - sum(self._edges)

    def forward(self, waveform: Tensor) -> Tensor:
        """Log-mels ``(..., F, N)`` of waveforms ``(..., T)``; always in float32, also under autocast.

        Raises:
            DataError: the waveforms are too short for a frame.
        """
        samples = waveform.shape[-1]
        self._require(samples)
        batch = waveform.reshape(math.prod(waveform.shape[:-1]), samples).float()
        with torch.autocast(waveform.device.type, enabled=False):
            patches = torch.cat([self._log_mel(chunk) for chunk in torch.split(batch, self._chunk(batch))])
        return patches.view(*waveform.shape[:-1], *patches.shape[-2:])

    def _require(self, samples: int) -> None:
        fewest = max(self.samples(1), max(self._edges) + 1)
        if samples < fewest:
            raise DataError(
                f"A waveform of {samples} samples is too short for a log-mel frame; it takes {fewest} samples."
            )

    def _chunk(self, batch: Tensor) -> int:
        """Waveforms transformed at once: all of them on a GPU, on a CPU what its cache holds."""
        if batch.device.type != "cpu":
            return max(1, len(batch))
        bytes_a_frame = 8 * (self.config.n_fft // 2 + 1)
        return max(1, CHUNK_BYTES // (bytes_a_frame * self.frames(batch.shape[-1])))

    def _log_mel(self, waveform: Tensor) -> Tensor:
        """``(C, T)`` to ``(C, F, N)``."""
        config = self.config
        if config.normalise_waveform:
            waveform = normalise_waveform(waveform)
        if config.centre:
            waveform = nn.functional.pad(waveform, self._edges, mode="reflect")
        frames = waveform.unfold(-1, config.win_length, config.hop) * self.window
        transform = torch.fft.rfft(frames, n=config.n_fft)
        spectrum = transform.real.square() + transform.imag.square()
        if config.spectrum == "magnitude":
            spectrum = spectrum.sqrt()
        return self._log(torch.matmul(self.filters, spectrum.transpose(-1, -2)))

    def _log(self, mel: Tensor) -> Tensor:
        mel = mel.clamp_min(self.config.floor) if self.config.floor_rule == "clamp" else mel + self.config.floor
        return mel.log() if self.config.log == "ln" else mel.log10()

    @property
    def _nepers(self) -> float:
        """Natural logarithm of mel power per unit of a patch."""
        base = 1.0 if self.config.log == "ln" else math.log(10.0)
        return 2.0 * base if self.config.spectrum == "magnitude" else base

    @property
    def silence(self) -> float:
        """Value of every bin of digital silence."""
        return math.log(self.config.floor) if self.config.log == "ln" else math.log10(self.config.floor)

    def power(self, patch: Tensor) -> Tensor:
        """Linear mel power of log-mels of any shape; the floor stays in (fonseca2021, released code)."""
        return (patch * self._nepers).exp()

    def from_power(self, power: Tensor) -> Tensor:
        """Log-mels of linear mel power: the inverse of :meth:`power`."""
        return power.log() / self._nepers

    def __call__(self, waveform: Tensor) -> Tensor:
        """Typed pass-through to :meth:`forward`."""
        return cast(Tensor, super().__call__(waveform))
