from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from benchmark.corpus.decode import decode, to_int16
from benchmark.errors import DataError

RATE = 16_000


def tone(seconds: float = 0.5, rate: int = RATE, frequency: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def write_with_av(path: Path, codec: str, layout: str = "mono", options: dict[str, str] | None = None) -> None:
    """A tone of half a second in a container that libsndfile does not know."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=48_000, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.stack([tone(0.5, 48_000)]), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        decode(path, RATE)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_16_bit_audio_at_its_own_rate_keeps_its_bits(tmp_path: Path):
    original = np.random.default_rng(0).integers(-32768, 32768, 4000).astype(np.int16)
    original[:2] = -32768, 32767
    soundfile.write(tmp_path / "a.wav", original, RATE)
    quantised, clipped = to_int16(decode(tmp_path / "a.wav", RATE))
    np.testing.assert_array_equal(quantised, original)
    assert clipped == 0


@pytest.mark.parametrize(
    ("subtype", "format_", "tolerance"),
    [
        ("PCM_U8", "WAV", 1e-2),
        ("PCM_24", "WAV", 1e-6),
        ("PCM_32", "WAV", 1e-6),
        ("FLOAT", "WAV", 1e-7),
        ("DOUBLE", "WAV", 1e-7),
        ("ULAW", "WAV", 2e-2),
        ("MS_ADPCM", "WAV", 5e-2),
        ("IMA_ADPCM", "WAV", 5e-2),
        ("PCM_16", "FLAC", 1e-4),
        ("PCM_16", "AIFF", 1e-4),
        ("VORBIS", "OGG", 1e-1),
        ("MPEG_LAYER_III", "MP3", 1e-1),
    ],
)
def test_encodings(tmp_path: Path, subtype: str, format_: str, tolerance: float):
    path = tmp_path / f"a.{format_.lower()}"
    soundfile.write(path, tone(), RATE, subtype=subtype, format=format_)
    decoded = decode(path, RATE)
    assert abs(len(decoded) - 8000) <= 1200  # lossy codecs pad to whole blocks
    np.testing.assert_allclose(decoded[1000:7000], tone()[1000:7000], atol=tolerance)


def test_channels_are_averaged(tmp_path: Path):
    left, right = tone(), tone(frequency=1000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(decode(tmp_path / "a.wav", RATE), (left + right) / 2, atol=1e-7)


def test_resampling_agrees_with_scipy(tmp_path: Path):
    audio = tone(1.0, 44_100)
    soundfile.write(tmp_path / "a.wav", audio, 44_100, subtype="FLOAT")
    decoded = decode(tmp_path / "a.wav", RATE)
    assert len(decoded) == RATE
    np.testing.assert_allclose(decoded[500:-500], resample_poly(audio, 160, 441)[500:-500], atol=2e-3)


def test_resampling_leaves_no_alias(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", tone(1.0, 44_100, frequency=12_000), 44_100, subtype="FLOAT")
    assert np.abs(decode(tmp_path / "a.wav", RATE)[500:-500]).max() < 1e-4


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.webm", "libopus"), ("a.mkv", "aac")])
def test_what_soundfile_cannot_read_pyav_does(tmp_path: Path, name: str, codec: str):
    write_with_av(tmp_path / name, codec)
    decoded = decode(tmp_path / name, RATE)
    assert abs(len(decoded) - 8000) < 1500
    spectrum = np.abs(np.fft.rfft(decoded[2000:6000]))
    assert np.argmax(spectrum) == 110  # 440 Hz in bins of 4 Hz
    assert np.sqrt(np.square(decoded[2000:6000]).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"])
@pytest.mark.parametrize(("channels", "rate"), [(1, 11_025), (2, 44_100), (1, 37_800), (2, 96_000)])
def test_odd_wav_files(tmp_path: Path, subtype: str, channels: int, rate: int):
    if subtype == "GSM610" and channels == 2:
        pytest.skip("GSM 6.10 is mono")
    soundfile.write(tmp_path / "a.wav", np.stack([tone(1.0, rate)] * channels, axis=1), rate, subtype=subtype)
    decoded = decode(tmp_path / "a.wav", RATE)
    assert abs(len(decoded) - RATE) <= 0.1 * RATE  # ADPCM and GSM pad to whole blocks
    found = decoded[2000:14_000]
    assert np.sqrt(np.square(found).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)
    assert np.argmax(np.abs(np.fft.rfft(found))) == round(440 * 12_000 / RATE)


@pytest.fixture(scope="module")
def mp3() -> bytes:
    """Two seconds of a tone at a variable bit rate, so that the first frame alone says nothing of the length."""
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(2.0, 44_100), 44_100, format="MP3")
    content = buffer.getvalue()
    assert b"Xing" in content[:100]
    return content


def with_field(mp3: bytes, offset: int, value: int) -> bytes:
    """``mp3`` with another number of frames (offset 8) or bytes (12) in its Xing header."""
    place = mp3.find(b"Xing") + offset
    return mp3[:place] + value.to_bytes(4, "big") + mp3[place + 4 :]


BROKEN_MP3 = {
    "intact": lambda mp3: mp3,
    "first frame lost": lambda mp3: bytes(400) + mp3[400:],
    "first sync word lost": lambda mp3: b"\0\0" + mp3[2:],
    "too many frames stated": lambda mp3: with_field(mp3, 8, 10**6),
    "too few frames stated": lambda mp3: with_field(mp3, 8, 10),
    "bytes before the first frame": lambda mp3: b"\0junk" * 50 + mp3,
    "ID3 tag longer than the file": lambda mp3: b"ID3\3\0\0\0\0\x7f\x7f" + bytes(100) + mp3,
    "ID3 tag that mentions a header": lambda mp3: b"ID3\3\0\0\0\0\0\x64" + b"Info\0\0\0\2" + b"\xff" * 92 + mp3,
    "tag at the end": lambda mp3: mp3 + b"TAG" + bytes(125),
}


@pytest.mark.parametrize("fault", BROKEN_MP3)
def test_an_mp3_with_a_broken_header_is_read_whole(tmp_path: Path, mp3: bytes, fault: str):
    (tmp_path / "a.mp3").write_bytes(BROKEN_MP3[fault](mp3))
    decoded = decode(tmp_path / "a.mp3", RATE)
    assert len(decoded) / RATE == pytest.approx(2.0, abs=0.1)  # a lost header also loses the length of the padding
    assert np.sqrt(np.square(decoded[3000:-3000]).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


@pytest.mark.parametrize("keep", [0.9, 0.5])
def test_truncated_mp3(tmp_path: Path, mp3: bytes, keep: float):
    (tmp_path / "a.mp3").write_bytes(mp3[: int(keep * len(mp3))])
    assert "is truncated" in refusal(tmp_path / "a.mp3")


def test_missing(tmp_path: Path):
    assert "does not exist" in refusal(tmp_path / "none.wav")


def test_empty_file(tmp_path: Path):
    (tmp_path / "a.wav").touch()
    assert "empty file" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "content", [b"I am a page of text, not audio.\n" * 50, b"RIFF\x00\x00\x00\x00WAVE", b"\0" * 5000]
)
def test_wrong_format(tmp_path: Path, content: bytes):
    (tmp_path / "a.wav").write_bytes(content)
    assert "known_bad" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize("suffix", ["flac", "mp3", "ogg", "m4a", "webm"])
def test_wrong_format_under_the_name_of_a_right_one(tmp_path: Path, suffix: str):
    (tmp_path / f"a.{suffix}").write_bytes(b"not audio")
    refusal(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"), [(48_000, 2, "PCM_24"), (22_050, 1, "PCM_16"), (96_000, 2, "PCM_24")]
)
def test_wide_stereo_at_other_rates(tmp_path: Path, rate: int, channels: int, subtype: str):
    audio = np.stack([tone(1.0, rate)] * channels, axis=1)
    soundfile.write(tmp_path / "a.wav", audio, rate, subtype)
    np.testing.assert_allclose(decode(tmp_path / "a.wav", RATE)[500:-500], tone(1.0)[500:-500], atol=2e-3)


def test_no_samples(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.float32), RATE)
    assert "no samples" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path: Path, value: float):
    audio = tone()
    audio[100] = value
    soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
    assert "NaN" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize("keep", [0.95, 0.5, 0.05])
@pytest.mark.parametrize(
    ("format_", "subtype"), [("WAV", "PCM_16"), ("WAV", "ULAW"), ("WAV", "MS_ADPCM"), ("FLAC", "PCM_16")]
)
def test_truncated(tmp_path: Path, keep: float, format_: str, subtype: str):
    path = tmp_path / f"a.{format_.lower()}"
    soundfile.write(path, tone() + 0.1 * np.random.default_rng(0).standard_normal(8000), RATE, subtype, format=format_)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    refusal(path)


def test_truncated_container(tmp_path: Path):
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        noise = 0.3 * np.random.default_rng(0).standard_normal((1, 48_000 * 5)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refusal(path)


def test_trailing_bytes_and_streamed_headers_are_no_truncation(tmp_path: Path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE)
    content = bytearray(path.read_bytes()) + b"LIST\x04\x00\x00\x00abcd"
    path.write_bytes(content)
    assert len(decode(path, RATE)) == 8000
    data = content.index(b"data") + 4
    content[data : data + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(decode(path, RATE)) >= 8000


def test_video_without_sound(tmp_path: Path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for packet in [*stream.encode(av.VideoFrame(32, 32, "yuv420p")), *stream.encode(None)]:
            container.mux(packet)
    assert "no audio stream" in refusal(tmp_path / "a.mp4")


def test_quantisation_rounds_half_to_even_and_counts_clipping():
    levels = np.array([0.5, 1.5, -0.5, -1.5, 32766.5, 32767.4, 32768, 40000, -32768, -32769], np.float64) / 32768
    quantised, clipped = to_int16(levels.astype(np.float32))
    assert quantised.tolist() == [0, 2, 0, -2, 32766, 32767, 32767, 32767, -32768, -32768]
    assert clipped == 3
    assert quantised.dtype == np.dtype("<i2")
