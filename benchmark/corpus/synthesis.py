"""Synthetic sounds for stand-ins: learnable from audio alone, and neither trivially nor perfectly.

A kind of sound is a point in a cube of seven perceptual qualities. A recording is a draw around its kind's point, far
enough for kinds to overlap, and is then placed at a random onset, level and signal-to-noise ratio, so that nothing but
the sound itself tells the kind. Speech is a buzz with breath, filtered by moving formants, whose targets are the word's
and whose scale is the speaker's.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmark.seeding import numpy_stream

Wave = NDArray[np.float32]
Qualities = NDArray[np.float64]

QUALITIES = ("pitch", "brightness", "noise", "tempo", "decay", "sweep", "vibrato")
SPREAD = 0.12
"""Standard deviation of a recording's qualities around its kind's."""

_TABLE = 2048  # samples of the wavetable that holds one period
_CONTROL = 32  # samples between two values of what changes slowly
_NOISE_LOOP = 1 << 16  # samples after which noise repeats


def sound_kinds(count: int) -> NDArray[np.float64]:
    """Qualities ``(count, 7)`` in [0, 1] of the kinds 0, 1, ...; the same whatever the count and the dataset."""
    return np.stack([numpy_stream(0, "kind of sound", kind).uniform(0, 1, len(QUALITIES)) for kind in range(count)])


def draw_recording(generator: np.random.Generator, kind: Qualities, spread: float = SPREAD) -> Qualities:
    """Qualities ``(7,)`` of one recording of a ``kind``."""
    return np.clip(kind + spread * generator.standard_normal(len(QUALITIES)), 0, 1)


def synthesise_sound(generator: np.random.Generator, qualities: Qualities, samples: int, rate: int) -> Wave:
    """Repeated events of the given ``qualities``, ``(samples,)`` within [-1, 1], at ``rate`` Hz."""
    pitch, brightness, noise, tempo, decay, sweep, vibrato = qualities
    controls = samples // _CONTROL + 2
    time = np.arange(controls) * (_CONTROL / rate)
    beats = time * (0.8 * 12**tempo) + _drift(generator, controls, 0.3)  # 0.8 to 9.6 events a second, not quite regular
    since_event = beats % 1
    envelope = np.minimum(since_event * 40, 1) * np.exp(-since_event * (0.3 * 30**decay))
    octaves = (
        (2 * sweep - 1) * since_event + 0.1 * vibrato * np.sin(2 * np.pi * 6 * time) + _drift(generator, controls, 0.1)
    )
    periods = np.cumsum(90 * 12**pitch * np.exp2(octaves)) * (_CONTROL / rate)
    tonal = _wavetable(brightness)[(_smooth(periods, samples) * _TABLE).astype(np.int64) % _TABLE]
    hiss = _coloured_noise(generator, samples, rate, 300 * 15**brightness)
    mixture = np.float32(1 - noise) * tonal + np.float32(noise) * hiss
    return _normalised(_smooth(envelope, samples).astype(np.float32) * mixture)


def synthesise_speech(
    generator: np.random.Generator,
    formants: NDArray[np.float64],
    hiss: float,
    pitch: float,
    scale: float,
    samples: int,
    rate: int,
) -> Wave:
    """A voiced sound whose resonances move through ``formants``, ``(samples,)`` within [-1, 1].

    Args:
        generator: draws the pitch's drift and the hiss.
        formants: targets ``(targets, 3)`` in Hz, passed through evenly.
        hiss: share of breath noise in [0, 1].
        pitch: of the voice in Hz.
        scale: factor on all formants: the length of the speaker's vocal tract.
        samples: length.
        rate: samples a second.
    """
    position = np.linspace(0, len(formants) - 1, samples)
    tracks = scale * np.stack([np.interp(position, np.arange(len(formants)), track) for track in formants.T])
    glide = pitch * np.exp2(_drift(generator, samples, 0.15) - 0.2 * np.linspace(0, 1, samples))
    phase = np.cumsum(glide / rate) % 1
    harmonics = np.arange(1, int(0.45 * rate / pitch), dtype=np.float32)[:, None]
    partials = np.sin(harmonics * (2 * np.pi * phase).astype(np.float32))
    buzz = (_resonance(harmonics * glide.astype(np.float32), tracks.astype(np.float32)) * partials).sum(axis=0)
    breath = _coloured_noise(generator, samples, rate, float(tracks[1].mean()))
    envelope = np.minimum(1, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / (0.03 * rate))
    return _normalised((envelope * (_normalised(buzz) + hiss * breath)).astype(np.float32))


def place_in_noise(generator: np.random.Generator, wave: Wave, samples: int, rate: int) -> Wave:
    """A clip ``(samples,)``: ``wave`` at a random onset and level over background noise of random colour and level.

    One clip in ten ends in digital silence, as padded recordings do.
    """
    clip = np.zeros(samples, np.float32)
    onset = int(generator.integers(0, samples - len(wave) + 1))
    clip[onset : onset + len(wave)] = wave
    clip += (
        10 ** (-generator.uniform(3, 24) / 20)
        * 0.3
        * _coloured_noise(generator, samples, rate, 10 ** generator.uniform(2, 3.5))
    )
    if generator.uniform() < 0.1:
        clip[int(samples * generator.uniform(0.6, 0.95)) :] = 0
    return _normalised(clip) * np.float32(10 ** (-generator.uniform(1, 20) / 20))


def sound_clip(
    generator: np.random.Generator, kinds: NDArray[np.float64], samples: int, rate: int, spread: float = SPREAD
) -> Wave:
    """A clip ``(samples,)`` in which one recording of each of ``kinds`` ``(k, 7)`` sounds, placed in noise.

    Args:
        generator: draws everything.
        kinds: qualities of the kinds to be heard.
        samples: length of the clip.
        rate: samples a second.
        spread: of a recording's qualities around its kind's.
    """
    mixture = np.zeros(samples, np.float32)
    for kind in kinds:
        length = int(samples * generator.uniform(0.6, 1))
        start = int(generator.integers(0, samples - length + 1))
        wave = synthesise_sound(generator, draw_recording(generator, kind, spread), length, rate)
        mixture[start : start + length] += wave * np.float32(10 ** (-generator.uniform(0, 6) / 20))
    return place_in_noise(generator, _normalised(mixture), samples, rate)


def write_wav(path: Path, audio: Wave, rate: int, subtype: str = "PCM_16") -> None:
    """Write ``(T,)`` or ``(T, C)`` as WAV of the encoding ``subtype``."""
    _write(path, audio, rate, subtype, "WAV")


def write_audio(path: Path, audio: Wave, rate: int) -> None:
    """Write ``(T,)`` or ``(T, C)`` in the format that the suffix names: ``.wav``, ``.flac``, ``.ogg`` or ``.mp3``."""
    _write(path, audio, rate, None, path.suffix[1:].upper())


def _write(path: Path, audio: Wave, rate: int, subtype: str | None, format_: str) -> None:
    """Write through memory: libsndfile would wait for the disk after every file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, rate, subtype=subtype, format=format_)
    content = bytearray(buffer.getvalue())
    if subtype in {
        "FLOAT",
        "DOUBLE",
    }:  # libsndfile notes the time of writing, after name, size and version of this chunk
        stamp = content.index(b"PEAK") + 12
        content[stamp : stamp + 4] = bytes(4)
    path.write_bytes(content)


def _resonance(frequency: Wave, tracks: Wave) -> Wave:
    """Gain at each ``frequency`` ``(harmonics, samples)`` of the resonances ``tracks`` ``(3, samples)``; all in Hz."""
    gain = np.zeros_like(frequency)
    for track in tracks:
        gain += 1 / (1 + np.square((frequency - track) / (60 + np.float32(0.06) * track)))
    return gain


def _wavetable(brightness: float) -> Wave:
    """One period of twelve harmonics, falling by 18 to 3 dB an octave."""
    harmonics = np.arange(1, 13)
    phases = 2 * np.pi * np.outer(harmonics, np.arange(_TABLE) / _TABLE) + harmonics[:, None] ** 2
    return _normalised((harmonics[:, None] ** (-3 + 2.5 * brightness) * np.sin(phases)).sum(axis=0))


def _coloured_noise(generator: np.random.Generator, samples: int, rate: int, centre: float) -> Wave:
    """Noise ``(samples,)`` about two octaves wide around ``centre`` Hz, shaped in the frequency domain."""
    length = min(_NOISE_LOOP, 1 << max(samples - 1, 1).bit_length())
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    octaves = np.log2(np.maximum(frequencies, 1) / centre)
    spectrum = generator.standard_normal(2 * len(frequencies), dtype=np.float32).view(np.complex64)
    loop = np.fft.irfft(spectrum * np.exp(-0.5 * octaves**2).astype(np.float32), length)
    return _normalised(np.resize(loop, samples))


def _smooth(controls: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """Straight lines between ``controls``, as ``(samples,)``."""
    return np.interp(np.arange(samples) / _CONTROL, np.arange(len(controls)), controls)


def _drift(generator: np.random.Generator, samples: int, size: float) -> NDArray[np.float64]:
    """A slow random walk ``(samples,)`` through nine random points of standard deviation ``size``."""
    return np.interp(np.linspace(0, 8, samples), np.arange(9), size * generator.standard_normal(9))


def _normalised(wave: NDArray[np.floating]) -> Wave:
    peak = float(np.abs(wave).max())
    return (wave / peak).astype(np.float32) if peak > 0 else wave.astype(np.float32)
