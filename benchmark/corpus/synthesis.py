"""Synthetic sounds for stand-ins: learnable from audio alone, and neither trivially nor perfectly.

A kind of sound is a point in a cube of seven perceptual qualities. A recording is a draw around its kind's point, far
enough for kinds to overlap, and is then placed at a random onset, level and signal-to-noise ratio, so that nothing but
the sound itself tells the kind. Speech is a buzz with breath, filtered by moving formants, whose targets are the word's
or the language's and whose pitch, scale and breath are the speaker's. Notes are harmonics under an envelope, shaped by an
instrument's timbre; music is chords and drum strokes on a beat; noise is a texture, a train of impulses or chirps.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
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

TIMBRE = ("brightness", "hollowness", "attack", "decay", "vibrato")
STYLE = ("tempo", "mode", "brightness", "drums", "register")

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
    harmonics = np.arange(1, max(2, int(0.45 * rate / pitch)))
    buzz = _period(1 / harmonics, harmonics)[(np.cumsum(glide / rate) * _TABLE).astype(np.int64) % _TABLE]
    breath = _coloured_noise(generator, samples, rate, float(tracks[1].mean()))
    envelope = np.minimum(1, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / (0.03 * rate))
    return _normalised((envelope * (_normalised(_resonate(buzz, tracks, rate)) + hiss * breath)).astype(np.float32))


@dataclass(frozen=True)
class Voice:
    """A speaker: pitch in Hz, factor on all formants (the length of the vocal tract) and share of breath in [0, 1]."""

    pitch: float
    scale: float
    hiss: float


@dataclass(frozen=True)
class Language:
    """What a language sounds like: formants of its vowels ``(4, 3)`` in Hz, syllables a second, share of hiss in [0, 1]."""

    vowels: NDArray[np.float64]
    tempo: float
    hiss: float


def draw_voice(generator: np.random.Generator) -> Voice:
    """A speaker with a pitch between 90 and 270 Hz."""
    return Voice(90 * 3 ** generator.uniform(), generator.uniform(0.85, 1.18), generator.uniform(0.05, 0.5))


def words(count: int) -> NDArray[np.float64]:
    """Formants ``(count, 3, 3)`` in Hz, at the start, middle and end, of the words 0, 1, ...; the same whatever the count."""
    return np.stack([_vowels(numpy_stream(0, "word", number), 3) for number in range(count)])


def languages(count: int) -> list[Language]:
    """The languages 0, 1, ...; the same whatever the count."""
    traits = _scattered(count, 2)
    vowels = [_vowels(numpy_stream(0, "language", number), 4) for number in range(count)]
    return [Language(of, 2.5 * 4**tempo, 0.8 * hiss) for of, (tempo, hiss) in zip(vowels, traits, strict=True)]


def synthesise_word(
    generator: np.random.Generator, voice: Voice, word: NDArray[np.float64], samples: int, rate: int
) -> Wave:
    """A ``word`` (formant targets ``(targets, 3)``) as ``voice`` says it this time, ``(samples,)`` within [-1, 1]."""
    formants = word * generator.uniform(0.95, 1.05, word.shape)
    pitch = voice.pitch * 2 ** generator.normal(0, 0.04)
    return synthesise_speech(generator, formants, voice.hiss, pitch, voice.scale, samples, rate)


def synthesise_babble(
    generator: np.random.Generator, voice: Voice, language: Language, samples: int, rate: int
) -> Wave:
    """Random syllables of ``language`` in its tempo, said by ``voice``, ``(samples,)`` within [-1, 1]."""
    count = max(2, round(language.tempo * generator.uniform(0.9, 1.1) * samples / rate))
    vowels = language.vowels[generator.integers(len(language.vowels), size=count)]
    hissing = Voice(voice.pitch, voice.scale, min(1, voice.hiss + language.hiss))
    syllables = np.sin(np.pi * count * np.arange(samples) / samples) ** 2
    return _normalised((0.2 + 0.8 * syllables) * synthesise_word(generator, hissing, vowels, samples, rate))


def timbres(count: int) -> NDArray[np.float64]:
    """Timbres ``(count, 5)`` in [0, 1] of the instruments 0, 1, ...; the same whatever the count."""
    return _scattered(count, len(TIMBRE))


def synthesise_note(
    generator: np.random.Generator, pitch: float, timbre: NDArray[np.float64], samples: int, rate: int
) -> Wave:
    """A note of MIDI ``pitch`` (69 is 440 Hz), held for three quarters of ``(samples,)``, within [-1, 1]."""
    brightness, hollowness, attack, decay, vibrato = timbre
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    harmonics = np.arange(1, max(2, min(24, int(0.45 * rate / frequency))))
    levels = harmonics ** (-3 + 2.5 * brightness) * np.where(harmonics % 2, 1, 1 - hollowness)
    time = np.arange(samples // _CONTROL + 2) * (_CONTROL / rate)
    cents = 0.02 * vibrato * np.sin(2 * np.pi * (5.5 * time + generator.uniform()))
    periods = np.cumsum(frequency * np.exp2(cents)) * (_CONTROL / rate)
    released = np.maximum(time - 0.75 * samples / rate, 0)
    envelope = np.minimum(time / (0.005 * 30**attack), 1) * np.exp(-6 * decay * time - 12 * released)
    tone = _period(levels, harmonics)[(_smooth(periods, samples) * _TABLE).astype(np.int64) % _TABLE]
    return _normalised(_smooth(envelope, samples).astype(np.float32) * tone)


def music_styles(count: int) -> NDArray[np.float64]:
    """Styles ``(count, 5)`` in [0, 1] of the genres 0, 1, ...; the same whatever the count."""
    return _scattered(count, len(STYLE))


def synthesise_music(generator: np.random.Generator, style: NDArray[np.float64], samples: int, rate: int) -> Wave:
    """A chord on every second beat and drum strokes on half beats, ``(samples,)`` within [-1, 1].

    ``style`` holds, each in [0, 1]: tempo (60 to 180 beats a minute), share of major chords, brightness of the timbre,
    loudness of the drums, and register of the chords.
    """
    tempo, mode, brightness, drums, register = style
    beat = max(2, int(rate / (1 + 2 * tempo)))
    timbre = np.array([brightness, *generator.uniform(0, 1, 2), 0.4, 0.2])
    music = np.zeros(samples + 2 * beat, np.float32)
    key = 45 + 24 * register + generator.integers(0, 12)
    for start in range(0, samples, 2 * beat):
        root = key + generator.choice([0, 5, 7, 9])
        third = 4 if generator.uniform() < mode else 3
        for pitch in (root - 12, root, root + third, root + 7):
            music[start : start + 2 * beat] += 0.25 * synthesise_note(generator, pitch, timbre, 2 * beat, rate)
    for start in range(0, samples, max(1, beat // 2)):
        strength = drums if (start // max(1, beat // 2)) % 2 == 0 else drums * generator.integers(0, 2) * 0.6
        music[start : start + beat] += np.float32(strength) * _stroke(generator, beat, rate)
    return _normalised(music[:samples])


def synthesise_noise(generator: np.random.Generator, samples: int, rate: int) -> Wave:
    """Swelling coloured noise, a train of decaying impulses, or chirps, drawn at random; ``(samples,)`` within [-1, 1]."""
    texture = generator.integers(3)
    if texture == 0:
        swell = np.exp(_drift(generator, samples, 0.8))
        return _normalised(swell * _coloured_noise(generator, samples, rate, 10 ** generator.uniform(2.3, 3.6)))
    noise = np.zeros(samples, np.float32)
    start, gap = 0, generator.uniform(0.08, 0.5)
    while start < samples:
        length = min(samples - start, max(1, int(rate * generator.uniform(0.05, 0.3))))
        event = _stroke(generator, length, rate) if texture == 1 else _chirp(generator, length, rate)
        noise[start : start + length] += event
        start += max(1, int(rate * gap * generator.uniform(0.6, 1.4)))
    return _normalised(noise)


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
    """Write ``(T,)`` or ``(T, C)`` in the format that the suffix names: ``.wav``, ``.flac`` or ``.mp3``.

    Not Ogg, whose streams get a random serial number: the same audio would give other bytes.
    """
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


def _scattered(count: int, dimensions: int) -> NDArray[np.float64]:
    """Points ``(count, dimensions)`` of the unit cube, evenly spread however many (Kronecker's sequence of square roots)."""
    steps = np.sqrt([2, 3, 5, 7, 11][:dimensions])
    return (0.5 + np.outer(np.arange(count), steps)) % 1


def _vowels(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Three formants ``(count, 3)`` in Hz of random vowels."""
    return generator.uniform([280, 750, 2150], [800, 2100, 3000], size=(count, 3))


def _stroke(generator: np.random.Generator, samples: int, rate: int) -> Wave:
    """A noise burst that decays within ``(samples,)``."""
    decay = np.exp(-np.arange(samples) / (rate * generator.uniform(0.01, 0.04))).astype(np.float32)
    return decay * _coloured_noise(generator, samples, rate, 10 ** generator.uniform(2.2, 3.7))


def _chirp(generator: np.random.Generator, samples: int, rate: int) -> Wave:
    """A sine ``(samples,)`` that glides by up to two octaves, faded in and out."""
    octaves = np.linspace(0, generator.uniform(-2, 2), samples)
    phase = np.cumsum(np.minimum(generator.uniform(300, 2000) * np.exp2(octaves), 0.45 * rate)) / rate
    return (np.sin(2 * np.pi * phase) * np.hanning(samples + 2)[1:-1]).astype(np.float32)


def _resonate(source: Wave, tracks: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """``source`` ``(samples,)`` through three resonances at the moving frequencies ``tracks`` ``(3, samples)`` in Hz.

    Filtered frame by frame, about 30 ms each, with overlapping Hann windows that add up to one.
    """
    size = 1 << round(np.log2(0.03 * rate))
    hop = size // 2
    padded = np.pad(source, (hop, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * np.hanning(size + 1)[:-1]
    centres = tracks[:, np.minimum(np.arange(len(frames)) * hop, len(source) - 1), None]
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    gain = (1 / (1 + np.square((frequencies - centres) / (60 + 0.06 * centres)))).sum(axis=0)
    filtered = np.fft.irfft(np.fft.rfft(frames) * gain, size).reshape(len(frames), 2, hop)
    overlapped = np.zeros((len(frames) + 1, hop))
    overlapped[:-1] += filtered[:, 0]
    overlapped[1:] += filtered[:, 1]
    return overlapped.reshape(-1)[hop : hop + len(source)]


def _wavetable(brightness: float) -> Wave:
    """One period of twelve harmonics, falling by 18 to 3 dB an octave."""
    harmonics = np.arange(1, 13)
    return _period(harmonics ** (-3 + 2.5 * brightness), harmonics)


def _period(levels: NDArray[np.floating], harmonics: NDArray[np.int64]) -> Wave:
    """One period ``(2048,)`` of sines, the ``harmonics`` at the given ``levels`` with scattered phases; both ``(h,)``."""
    spectrum = np.zeros(_TABLE // 2 + 1, np.complex128)
    spectrum[harmonics] = -1j * levels * np.exp(1j * harmonics**2)
    return _normalised(np.fft.irfft(spectrum, _TABLE))


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
    rises = np.diff(controls)[:, None] * (np.arange(_CONTROL) / _CONTROL)
    return (rises + controls[:-1, None]).reshape(-1)[:samples]


def _drift(generator: np.random.Generator, samples: int, size: float) -> NDArray[np.float64]:
    """A slow random walk ``(samples,)`` through nine random points of standard deviation ``size``."""
    return np.interp(np.linspace(0, 8, samples), np.arange(9), size * generator.standard_normal(9))


def _normalised(wave: NDArray[np.floating]) -> Wave:
    peak = float(np.abs(wave).max())
    return (wave / peak).astype(np.float32) if peak > 0 else wave.astype(np.float32)
