"""Statistics over the valid frames of whole clips of different lengths."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from benchmark.errors import ConfigError
from benchmark.signal.frontend import LogMel

Statistic = Literal["mean", "std", "max", "mean_abs_difference"]


def clip_log_mel(frontend: LogMel, waveform: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Log-mels of zero-padded clips and how many frames of each lie wholly inside the clip.

    A clip shorter than a window counts as one frame: the clip followed by zeros.

    Args:
        frontend: one that does not centre its frames, so that no frame depends on where the batch ends.
        waveform: ``(B, T)``.
        lengths: ``(B,)`` valid samples; None where every sample is valid.

    Returns:
        ``(B, F, N)`` log-mels and ``(B,)`` int64 valid frames, at least 1.

    Raises:
        ConfigError: the front-end centres its frames or normalises by the whole waveform.
    """
    config = frontend.config
    if config.centre or config.normalise_waveform:
        raise ConfigError(
            "Statistics of whole clips need a front-end with centre=false and normalise_waveform=false: "
            "otherwise a clip's frames depend on the padding of its batch."
        )
    if lengths is None:
        lengths = torch.full((len(waveform),), waveform.shape[-1], device=waveform.device)
    missing = config.win_length - waveform.shape[-1]
    if missing > 0:
        waveform = torch.nn.functional.pad(waveform, (0, missing))
    valid = 1 + (lengths - config.win_length).clamp_min(0) // config.hop
    return frontend(waveform), valid


def pool_frames(frames: Tensor, valid: Tensor, statistics: tuple[Statistic, ...]) -> Tensor:
    """Statistics over time of the first ``valid`` frames of each clip, whatever the rest holds.

    Args:
        frames: ``(B, F, N)``.
        valid: ``(B,)`` int64, from 1 to N.
        statistics: which, in the order of the result. ``std`` is the population's, ``mean_abs_difference`` that of
            neighbouring frames; both are 0 for a single frame.

    Returns:
        ``(B, F * len(statistics))`` float32.
    """
    inside = torch.arange(frames.shape[-1], device=frames.device) < valid[:, None]
    values = frames.double().masked_fill(~inside[:, None, :], 0.0)
    count = valid[:, None].double()
    mean = values.sum(dim=-1) / count
    pooled: dict[Statistic, Tensor] = {"mean": mean}
    if "std" in statistics:
        deviations = (values - mean[..., None]).masked_fill(~inside[:, None, :], 0.0)
        pooled["std"] = (deviations.square().sum(dim=-1) / count).sqrt()
    if "max" in statistics:
        pooled["max"] = values.masked_fill(~inside[:, None, :], -torch.inf).amax(dim=-1)
    if "mean_abs_difference" in statistics:
        steps = values.diff(dim=-1).abs().masked_fill(~inside[:, None, 1:], 0.0)
        pooled["mean_abs_difference"] = steps.sum(dim=-1) / (count - 1.0).clamp_min(1.0)
    return torch.cat([pooled[name] for name in statistics], dim=-1).float()
