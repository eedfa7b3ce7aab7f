from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmark.corpus.synthesis import (
    draw_recording,
    place_in_noise,
    sound_kinds,
    synthesise_sound,
    synthesise_speech,
    write_wav,
)
from benchmark.seeding import numpy_stream

RATE = 16_000


def peak_frequency(wave: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(wave * np.hanning(len(wave))))) * RATE / len(wave))


def test_kinds_are_points_of_the_cube_whatever_their_number():
    assert sound_kinds(50).shape == (50, 7)
    assert ((sound_kinds(50) >= 0) & (sound_kinds(50) <= 1)).all()
    np.testing.assert_array_equal(sound_kinds(10), sound_kinds(50)[:10])


def test_recordings_scatter_around_their_kind():
    kind = np.full(7, 0.5)
    draws = np.stack([draw_recording(numpy_stream(0, n), kind, 0.1) for n in range(500)])
    np.testing.assert_allclose(draws.mean(0), kind, atol=0.02)
    np.testing.assert_allclose(draws.std(0), 0.1, atol=0.02)
    assert draw_recording(numpy_stream(0, 0), np.ones(7)).max() <= 1


def test_pitch_is_heard():
    low, high = (
        np.median(
            [
                peak_frequency(synthesise_sound(numpy_stream(0, n), np.array([pitch, 0, 0, 0, 0, 0.5, 0]), RATE, RATE))
                for n in range(5)
            ]
        )
        for pitch in (0.2, 0.6)
    )
    assert low == pytest.approx(90 * 12**0.2, rel=0.15)
    assert high == pytest.approx(90 * 12**0.6, rel=0.15)


def test_noise_has_no_pitch():
    def flatness(noise: float) -> float:
        wave = synthesise_sound(numpy_stream(0), np.array([0.5, 0.5, noise, 0.5, 0.2, 0.5, 0]), RATE, RATE)
        power = np.abs(np.fft.rfft(wave))[100:2000] ** 2 + 1e-9
        return float(np.exp(np.log(power).mean()) / power.mean())

    assert flatness(1.0) > 5 * flatness(0.0)


def test_formants_are_heard():
    formants = np.array([[800.0, 1200, 2600], [800, 1200, 2600]])
    wave = synthesise_speech(numpy_stream(0), formants, 0, 100, 1.0, RATE, RATE)
    scaled = synthesise_speech(numpy_stream(0), formants, 0, 100, 1.25, RATE, RATE)
    assert peak_frequency(wave) == pytest.approx(800, rel=0.12)
    assert peak_frequency(scaled) == pytest.approx(1000, rel=0.12)


@pytest.mark.parametrize("samples", [1, 40, 5000])
def test_everything_is_finite_seeded_and_within_full_scale(samples: int):
    for make in (
        lambda stream: synthesise_sound(stream, np.full(7, 0.4), samples, RATE),
        lambda stream: synthesise_speech(stream, np.full((3, 3), 900.0), 0.2, 120, 1.0, samples, RATE),
        lambda stream: place_in_noise(stream, np.ones(samples, np.float32), 2 * samples, RATE),
    ):
        wave = make(numpy_stream(0, "wave"))
        assert wave.dtype == np.float32
        assert np.abs(wave).max() <= 1
        np.testing.assert_array_equal(wave, make(numpy_stream(0, "wave")))


def test_placement_varies_onset_level_and_ending():
    clips = [place_in_noise(numpy_stream(0, n), np.ones(100, np.float32), 1000, RATE) for n in range(200)]
    levels = 20 * np.log10([np.abs(clip).max() for clip in clips])
    assert -20.1 < levels.min() < -15
    assert -5 < levels.max() < -0.9
    assert 5 < sum((clip[-50:] == 0).all() for clip in clips) < 40


def test_wav_is_what_libsndfile_writes(tmp_path: Path):
    audio = np.random.default_rng(0).uniform(-0.9, 0.9, (500, 2)).astype(np.float32)
    write_wav(tmp_path / "a.wav", audio, 22_050, "PCM_24")
    found, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == 22_050
    np.testing.assert_allclose(found, audio, atol=1e-6)
