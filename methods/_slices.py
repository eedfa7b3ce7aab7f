"""Slices of a log-mel patch in tagliasacchi2020: a target and its past and future, which never overlap."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from benchmark import ConfigError, Count, CropRequest, Encoder, LogMelEncoder, MethodConfig
from methods._decoder import Start


class Audio2VecConfig(MethodConfig):
    """Both variants of Audio2Vec (§IV)."""

    context: Count = Field(2, description="P, slices on each side of the target (§IV)")
    gap: Annotated[int, Field(ge=0)] = Field(2, description="G, frames between two slices (§IV)")
    decoder: Start = Field("expand", description="how the mirror of the global pooling begins (the paper is silent)")


def require_log_mel(encoder: Encoder, method: str) -> LogMelEncoder:
    """The encoder, if it reads log-mels.

    Raises:
        ConfigError: it does not.
    """
    if not isinstance(encoder, LogMelEncoder):
        raise ConfigError(f"{method} needs an encoder of log-mels, and {type(encoder).__name__} reads none.")
    return encoder


def context_crop(encoder: LogMelEncoder, config: Audio2VecConfig) -> CropRequest:
    """One crop a clip that holds all 2P + 1 slices; shorter clips are left out, since no slice may bridge two clips."""
    frames = 2 * config.context * (encoder.frames + config.gap) + encoder.frames
    samples = encoder.frontend.samples(frames)
    return CropRequest(1, samples, minimum=samples)


def slices(patch: Tensor, frames: int, gap: int) -> Tensor:
    """Consecutive slices of ``frames`` frames, ``gap`` frames apart: ``(B, F, T)`` to ``(B, S, F, frames)``."""
    return patch.unfold(-1, frames, frames + gap).transpose(1, 2)


def standardised_slices(encoder: LogMelEncoder, waveforms: Tensor, gap: int) -> Tensor:
    """Standardised log-mel slices ``(B, S, F, N)`` of waveforms ``(B, T)``."""
    with torch.no_grad():
        patch = encoder.standardise(encoder.frontend(waveforms))
        return slices(patch, encoder.frames, gap)


def reconstruction_loss(decoded: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over slices, bands and frames, in float32.

    The paper prints a norm and calls it the mean-square error (§III); 1 is what predicting the mean of the data costs.
    """
    return functional.mse_loss(decoded.float(), target.float())
