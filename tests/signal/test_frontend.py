"""The front-ends against float64 numpy oracles written from the papers, not from our code."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from benchmark.errors import DataError
from benchmark.signal import frontend as module
from benchmark.signal.frontend import FONSECA2021, TAGLIASACCHI2020, LogMel, LogMelConfig, normalise_waveform

Floats = NDArray[np.float64]
Scale = Callable[[float], float]
CONFIGS = [TAGLIASACCHI2020, FONSECA2021]
IDS = ["tagliasacchi2020", "fonseca2021"]


def htk_mel(hz: float) -> float:
    return 2595.0 * math.log10(1.0 + hz / 700.0)


def htk_hz(mel: float) -> float:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def slaney_mel(hz: float) -> float:
    return 3.0 * hz / 200.0 if hz < 1000.0 else 15.0 + 27.0 * math.log(hz / 1000.0) / math.log(6.4)


def slaney_hz(mel: float) -> float:
    return 200.0 * mel / 3.0 if mel < 15.0 else 1000.0 * math.exp(math.log(6.4) / 27.0 * (mel - 15.0))


def triangles(
    bands: int,
    low: float,
    high: float,
    rate: int,
    n_fft: int,
    mel: Scale,
    hz: Scale,
) -> Floats:
    edges = [hz(m) for m in np.linspace(mel(low), mel(high), bands + 2)]
    filters = np.zeros((bands, n_fft // 2 + 1))
    for band, (left, peak, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for index in range(n_fft // 2 + 1):
            f = index * rate / n_fft
            filters[band, index] = max(0.0, min((f - left) / (peak - left), (right - f) / (right - peak)))
    return filters


def dft(frames: Floats) -> NDArray[np.complex128]:
    n = frames.shape[-1]
    k, t = np.arange(n // 2 + 1)[:, None], np.arange(n)[None, :]
    return frames @ np.exp(-2j * np.pi * k * t / n).T


def oracle_tagliasacchi(x: Floats) -> Floats:
    """Framed by the 400-sample window, then zero-padded to 512."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([np.pad(x[s : s + 400] * window, (0, 112)) for s in range(0, len(x) - 399, 160)])
    mels = triangles(64, 60.0, 7800.0, 16_000, 512, htk_mel, htk_hz) @ np.abs(dft(frames)).T
    return np.log(np.maximum(mels, 1e-5))


def oracle_fonseca(x: Floats) -> Floats:
    """As librosa frames: reflected by n_fft / 2, the window centred in n_fft."""
    x = x - x.mean()
    x = x / (np.abs(x).max() + 0.005) + 1.1e-8
    x = np.pad(x, 1024, mode="reflect")
    window = np.pad(0.54 - 0.46 * np.cos(2 * np.pi * np.arange(660) / 660), 694)
    frames = np.stack([x[s : s + 2048] * window for s in range(0, len(x) - 2047, 220)])
    mels = triangles(96, 50.0, 10_500.0, 22_050, 2048, slaney_mel, slaney_hz) @ (np.abs(dft(frames)) ** 2).T
    return np.log10(mels + 1.1e-8)


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    ("config", "samples", "frames"),
    [
        (TAGLIASACCHI2020, 15_600, 96),
        (TAGLIASACCHI2020, 160_000, 998),
        (TAGLIASACCHI2020, 399, 0),
        (TAGLIASACCHI2020, 400, 1),
        (FONSECA2021, 22_050, 101),
    ],
)
def test_frame_counts_are_those_of_the_papers(config: LogMelConfig, samples: int, frames: int) -> None:
    frontend = LogMel(config)
    assert frontend.frames(samples) == frames
    if frames:
        assert frontend(noise(1, samples)).shape == (1, config.n_mels, frames)


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_samples_is_the_smallest_inverse_of_frames(config: LogMelConfig) -> None:
    frontend = LogMel(config)
    for frames in (3, 96, 101, 998):
        samples = frontend.samples(frames)
        assert frontend.frames(samples) == frames
        assert frontend.frames(samples - 1) == frames - 1


@pytest.mark.parametrize(
    ("config", "oracle", "samples"),
    [(TAGLIASACCHI2020, oracle_tagliasacchi, 4_000), (FONSECA2021, oracle_fonseca, 4_410)],
    ids=IDS,
)
def test_equals_the_float64_oracle(config: LogMelConfig, oracle: Callable[[Floats], Floats], samples: int) -> None:
    x = noise(samples)
    x[: samples // 4] *= 1e-3
    ours = LogMel(config)(x).numpy()
    np.testing.assert_allclose(ours, oracle(x.double().numpy()), atol=1e-4)


def test_fonsecas_constant_offset_moves_digital_silence_by_less_than_a_thousandth() -> None:
    ours = LogMel(FONSECA2021)(torch.zeros(4_410)).numpy()
    difference = np.abs(ours - oracle_fonseca(np.zeros(4_410)))
    assert 0 < difference.max() < 1e-3


@pytest.mark.parametrize(
    ("config", "mel", "hz"), [(TAGLIASACCHI2020, htk_mel, htk_hz), (FONSECA2021, slaney_mel, slaney_hz)], ids=IDS
)
def test_filters_equal_their_closed_form(config: LogMelConfig, mel: Scale, hz: Scale) -> None:
    expected = triangles(config.n_mels, config.f_min, config.f_max, config.sample_rate, config.n_fft, mel, hz)
    np.testing.assert_allclose(LogMel(config).filters.numpy(), expected, atol=2e-5)
    assert (expected.max(axis=1) > 0.4).all(), "a band without a bin would be constant"


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_neither_chunks_nor_leading_axes_matter(config: LogMelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    frontend = LogMel(config)
    x = noise(2, 3, 6_000)
    whole = frontend(x)
    assert whole.shape == (2, 3, config.n_mels, frontend.frames(6_000))
    monkeypatch.setattr(module, "CHUNK_BYTES", 1)
    torch.testing.assert_close(frontend(x), whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(frontend(x[1, 2]), whole[1, 2], rtol=0, atol=1e-5)


def test_autocast_does_not_lower_the_precision() -> None:
    frontend, x = LogMel(TAGLIASACCHI2020), noise(2, 4_000)
    with torch.autocast("cpu", torch.bfloat16):
        ours = frontend(x)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, frontend(x), rtol=0, atol=0)


def test_gradients_reach_the_waveform() -> None:
    x = noise(2, 4_000).requires_grad_()
    LogMel(TAGLIASACCHI2020)(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert (x.grad != 0).any()


def test_checkpoints_carry_nothing_of_it() -> None:
    assert not LogMel(TAGLIASACCHI2020).state_dict()


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_power_is_linear_in_the_waveforms_energy_and_inverts(config: LogMelConfig) -> None:
    frontend = LogMel(config.model_copy(update={"normalise_waveform": False}))
    patch = frontend(noise(4_000))
    louder = frontend(10.0 * noise(4_000))
    torch.testing.assert_close(frontend.power(louder), 100.0 * frontend.power(patch), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(frontend.from_power(frontend.power(patch)), patch, rtol=0, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_silence_is_what_digital_silence_becomes(config: LogMelConfig) -> None:
    frontend = LogMel(config)
    torch.testing.assert_close(
        frontend(torch.zeros(3_000)), torch.full((config.n_mels, frontend.frames(3_000)), frontend.silence)
    )


def test_normalised_waveforms_have_no_mean_and_the_stated_peak() -> None:
    x = noise(3, 1_000) + 0.2
    peak = (x - x.mean(dim=-1, keepdim=True)).abs().amax(dim=-1)
    normalised = normalise_waveform(x)
    torch.testing.assert_close(normalised.mean(dim=-1), torch.zeros(3), rtol=0, atol=1e-6)
    torch.testing.assert_close(normalised.abs().amax(dim=-1), peak / (peak + 0.005))


def test_fonseca_is_nearly_blind_to_level_and_tagliasacchi_is_not() -> None:
    x = noise(22_050)
    loud, quiet = LogMel(FONSECA2021)(x), LogMel(FONSECA2021)(0.5 * x)
    assert (loud - quiet).abs().max() < 0.02
    gain = LogMel(TAGLIASACCHI2020)(x) - LogMel(TAGLIASACCHI2020)(0.5 * x)
    torch.testing.assert_close(gain, torch.full_like(gain, math.log(2.0)), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("config", "samples"), [(TAGLIASACCHI2020, 399), (FONSECA2021, 330), (TAGLIASACCHI2020, 0)])
def test_too_short_a_waveform_says_how_long_it_must_be(config: LogMelConfig, samples: int) -> None:
    fewest = {160: 400, 220: 331}[config.hop]
    with pytest.raises(DataError, match=f"{samples} samples is too short .* it takes {fewest} samples"):
        LogMel(config)(torch.zeros(2, samples))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"win_length": 600}, "win_length 600 is longer than n_fft 512"),
        ({"f_max": 9000.0}, "rise to at most 8000 Hz"),
        ({"f_min": 7900.0}, "rise"),
        ({"hop": 0}, "greater than or equal to 1"),
        ({"hops": 2}, "Extra inputs"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LogMelConfig(**{**TAGLIASACCHI2020.model_dump(), **change})
