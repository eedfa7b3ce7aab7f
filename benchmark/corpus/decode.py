"""One audio file to a mono waveform at the rate asked for, refusing what is damaged instead of guessing.

soundfile reads first, PyAV what soundfile cannot, and MP3, of which libsndfile reads no more than a broken or missing header
promises. Channels are averaged; soxr resamples at its "HQ" quality.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmark.errors import DataError

FULL_SCALE = 32768
"""Factor between float samples and int16: writing multiplies by it, reading divides; 16-bit files keep their bits."""

_UNKNOWN_SIZE = 0x7FFF0000  # streaming writers put a placeholder at or above this where the size was not known yet
_XING_WITHIN = 4096  # bytes after an MP3 file's ID3 tag in which its first frame is looked for
_XING_OFFSET = 36  # bytes, at most, between the start of an MP3 frame and the Xing header in it
_TRUNCATION_SLACK = 0.5  # seconds; containers state durations only roughly

Waveform = NDArray[np.float32]


def decode(path: Path, rate: int) -> Waveform:
    """Read ``path`` as mono float32 ``(T,)`` at ``rate`` Hz, nominally within [-1, 1].

    Raises:
        DataError: the file is missing, empty, truncated, of no audio format, without samples, or holds NaN or infinite
            samples.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist; fetch the dataset again.")
    if path.stat().st_size == 0:
        raise _refusal(path, "is an empty file")
    channels, original_rate = _read_soundfile(path) or _read_av(path)
    if channels.shape[0] == 0:
        raise _refusal(path, "holds no samples")
    mono = channels.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise _refusal(path, "holds samples that are NaN or infinite")
    resampled: Waveform = mono if original_rate == rate else soxr.resample(mono, original_rate, rate, quality="HQ")
    if resampled.size == 0:
        raise _refusal(path, f"is too short to leave a sample at {rate} Hz")
    return resampled


def to_int16(waveform: Waveform) -> tuple[NDArray[np.int16], int]:
    """Quantise float ``(T,)`` to int16 and count the samples that had to be clipped.

    Scaled by 32768 (the reader divides by the same), rounded half to even, clipped to [-32768, 32767], never dithered.
    """
    scaled = np.rint(waveform * np.float32(FULL_SCALE))
    limited = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1)
    return limited.astype("<i2"), int(np.count_nonzero(limited != scaled))


def _refusal(path: Path, fault: str) -> DataError:
    return DataError(f"{path} {fault}; fetch it again, or list it in its dataset's known_bad to leave it out.")


def _read_soundfile(path: Path) -> tuple[Waveform, int] | None:
    """Samples ``(T, C)`` and sample rate, or None of what is for PyAV to read.

    libsndfile reads truncated files short without a word, so sizes are compared.
    """
    try:
        with soundfile.SoundFile(path) as file:
            if file.format in {"MP3", "MPEG"} or not file.seekable():
                return None
            samples = file.read(dtype="float32", always_2d=True)
            stated, rate = file.frames, file.samplerate
    except soundfile.LibsndfileError:
        return None
    if len(samples) < stated or _riff_is_truncated(path):
        raise _refusal(path, "is truncated")
    return samples, rate


def _riff_is_truncated(path: Path) -> bool:
    """Whether a RIFF/WAVE file ends before the data chunk that its header announces."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return False
        return any(
            name == b"data" and length < _UNKNOWN_SIZE and start + length > size
            for name, start, length in _chunks(file)
        )


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and length of each RIFF chunk."""
    position = 12
    while True:
        file.seek(position)
        header = file.read(8)
        if len(header) < 8:
            return
        name, length = struct.unpack("<4sI", header)
        yield name, position + 8, length
        position += 8 + length + length % 2


def _mp3_is_truncated(path: Path) -> bool:
    """Whether an MP3 file ends before the byte count of its Xing or Info header, if it has one; it states no other length."""
    with path.open("rb") as file:
        first = file.seek(_id3_length(file.read(10)))
        head = file.read(_XING_WITHIN)
    places = [place for name in (b"Xing", b"Info") if 0 <= (place := head.find(name)) <= len(head) - 16]
    if not places:
        return False
    _, flags, *fields = struct.unpack_from(">4s3I", head, min(places))
    if not flags & 2:
        return False
    length = fields[1] if flags & 1 else fields[0]
    return bool(first + min(places) - _XING_OFFSET + length > path.stat().st_size)


def _id3_length(start: bytes) -> int:
    """Bytes of the ID3v2 tag that a file's first ten bytes announce: seven bits of four bytes each."""
    if len(start) < 10 or start[:3] != b"ID3":
        return 0
    return 10 + sum((byte & 127) << shift for byte, shift in zip(start[6:], (21, 14, 7, 0), strict=True))


def _read_av(path: Path) -> tuple[Waveform, int]:
    """Samples ``(T, C)`` and sample rate of what FFmpeg can read: video containers, MP3, AAC, Opus, ..."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise _refusal(path, "has no audio stream")
            stream = container.streams.audio[0]
            to_planar_float = av.AudioResampler(format="fltp")
            blocks = [
                block.to_ndarray().T for frame in container.decode(stream) for block in to_planar_float.resample(frame)
            ]
            is_mp3 = container.format.name == "mp3"  # its duration is only guessed from the first frame
            stated = float((stream.duration or 0) * (stream.time_base or 0)) if not is_mp3 else 0.0
            rate = int(stream.rate or 0)
    except (av.FFmpegError, ValueError) as error:
        raise _refusal(path, f"is not audio that can be decoded ({type(error).__name__})") from error
    if rate <= 0:
        raise _refusal(path, "states no sample rate")
    samples = np.concatenate(blocks).astype(np.float32) if blocks else np.zeros((0, 1), np.float32)
    if len(samples) / rate < stated - _TRUNCATION_SLACK or (is_mp3 and _mp3_is_truncated(path)):
        raise _refusal(path, "is truncated")
    return samples, rate
