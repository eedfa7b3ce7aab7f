from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmark.corpus import synthesis
from benchmark.corpus.synthesis import (
    Language,
    Voice,
    draw_recording,
    draw_voice,
    languages,
    music_styles,
    place_in_noise,
    sound_kinds,
    synthesise_babble,
    synthesise_music,
    synthesise_noise,
    synthesise_note,
    synthesise_sound,
    synthesise_speech,
    synthesise_word,
    timbres,
    words,
    write_audio,
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


@pytest.mark.parametrize("samples", [1, 31, 32, 33, 1000])
def test_slow_changes_are_straight_lines(samples: int):
    controls = np.random.default_rng(0).normal(size=samples // 32 + 2)
    expected = np.interp(np.arange(samples) / 32, np.arange(len(controls)), controls)
    np.testing.assert_array_equal(synthesis._smooth(controls, samples), expected)


def test_languages_words_timbres_and_styles_do_not_depend_on_their_number():
    np.testing.assert_array_equal(words(3), words(35)[:3])
    np.testing.assert_array_equal(timbres(3), timbres(11)[:3])
    np.testing.assert_array_equal(music_styles(3), music_styles(10)[:3])
    assert all(
        (a.vowels == b.vowels).all() and a.tempo == b.tempo for a, b in zip(languages(2), languages(6), strict=False)
    )


def test_scattered_points_are_far_apart():
    points = timbres(11)
    distances = np.linalg.norm(points[:, None] - points, axis=-1)[~np.eye(11, dtype=bool)]
    assert distances.min() > 0.3


@pytest.mark.parametrize("pitch", [45, 57, 69, 81])
def test_a_note_has_its_pitch(pitch: int):
    timbre = np.array([0.2, 0.2, 0.1, 0.1, 0.0])
    assert peak_frequency(synthesise_note(numpy_stream(0), pitch, timbre, RATE, RATE)) == pytest.approx(
        440 * 2 ** ((pitch - 69) / 12), rel=0.01
    )


def test_a_hollow_timbre_lacks_even_harmonics():
    wave = synthesise_note(numpy_stream(0), 69, np.array([0.9, 1.0, 0, 0, 0]), RATE, RATE)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(RATE)))
    assert spectrum[870:890].max() < 0.01 * spectrum[1310:1330].max()


def test_a_voice_has_its_pitch():
    voices = [Voice(pitch, 1.0, 0.0) for pitch in (100.0, 200.0)]
    for voice in voices:
        wave = synthesise_word(numpy_stream(0, "pitch"), voice, np.full((3, 3), voice.pitch), RATE, RATE)
        assert peak_frequency(wave) == pytest.approx(voice.pitch, rel=0.25)


def test_a_language_has_its_tempo():
    def tempo(language: Language) -> float:
        waves = [synthesise_babble(numpy_stream(0, n), Voice(150, 1, 0.1), language, 2 * RATE, RATE) for n in range(5)]
        envelopes = [np.abs(wave).reshape(-1, 160).mean(axis=1) for wave in waves]
        spectrum = np.mean([np.abs(np.fft.rfft(envelope - envelope.mean())) for envelope in envelopes], axis=0)
        return float(np.argmax(spectrum) / 2)

    vowels = languages(1)[0].vowels
    assert tempo(Language(vowels, 3.0, 0.0)) == pytest.approx(3, rel=0.25)
    assert tempo(Language(vowels, 8.0, 0.0)) == pytest.approx(8, rel=0.25)


@pytest.mark.parametrize(("tempo", "beat"), [(0.0, 100), (0.5, 50), (1.0, 33)])
def test_music_keeps_its_beat(tempo: float, beat: int):
    """Onsets, in frames of 10 ms, repeat after a bar of two beats and not after one and a half bars and a bit."""
    music = synthesise_music(numpy_stream(0), np.array([tempo, 1, 0.5, 1.0, 0.5]), 6 * RATE, RATE)
    onsets = np.maximum(np.diff(np.abs(music).reshape(-1, 160).mean(axis=1)), 0)
    repeats = np.correlate(onsets, onsets, "full")[len(onsets) - 1 :]
    assert (
        repeats[2 * beat - 1 : 2 * beat + 2].max()
        > 3 * repeats[2 * beat + beat // 4 - 1 : 2 * beat + beat // 4 + 2].max()
    )


def test_noises_differ():
    flatness = []
    for number in range(30):
        power = np.abs(np.fft.rfft(synthesise_noise(numpy_stream(0, number), RATE, RATE))) ** 2 + 1e-9
        flatness.append(np.exp(np.log(power).mean()) / power.mean())
    assert np.std(np.log(flatness)) > 0.5


@pytest.mark.parametrize("samples", [1, 40, 5000])
def test_voices_notes_music_and_noise_are_finite_seeded_and_within_full_scale(samples: int):
    for make in (
        lambda stream: synthesise_babble(stream, draw_voice(stream), languages(3)[2], samples, RATE),
        lambda stream: synthesise_note(stream, 60, timbres(4)[3], samples, RATE),
        lambda stream: synthesise_music(stream, music_styles(5)[4], samples, RATE),
        lambda stream: synthesise_noise(stream, samples, RATE),
    ):
        wave = make(numpy_stream(0, "wave"))
        assert wave.dtype == np.float32
        assert wave.shape == (samples,)
        assert np.abs(wave).max() <= 1
        np.testing.assert_array_equal(wave, make(numpy_stream(0, "wave")))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_the_suffix_names_the_format(tmp_path: Path, name: str):
    audio = (0.5 * np.sin(np.arange(RATE) * 0.1)).astype(np.float32)
    write_audio(tmp_path / name, audio, RATE)
    assert soundfile.info(tmp_path / name).format == name[2:].upper()
    first = (tmp_path / name).read_bytes()
    write_audio(tmp_path / name, audio, RATE)
    assert (tmp_path / name).read_bytes() == first
