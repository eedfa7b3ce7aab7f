"""The unit of preparation: a few files decoded to one cache entry, in any order, once.

An entry's key holds all that its samples depend on: a killed preparation resumes from the finished chunks, and nothing
stale is reused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import soundfile

from benchmark.artifacts import Cache, content_hash, hash_file
from benchmark.corpus import decode as decoder

MAX_CLIPS = 64
MAX_BYTES = 32 << 20
"""Bounds of a chunk in files and in bytes of raw files: what one worker holds in memory at a time."""


@dataclass(frozen=True)
class Chunk:
    """Audio files ``paths`` below ``folder`` to be decoded at ``rate`` Hz into the cache entry ``key`` of ``kind``."""

    folder: Path
    paths: tuple[str, ...]
    rate: int
    cache: Path
    kind: str
    key: str

    def run(self) -> Chunk:
        """Decode, quantise and store, unless that has been done; returns itself.

        The entry holds ``audio`` (int16, all clips end to end), ``samples`` and ``clipped`` (int64, a value a clip).
        """
        cache = Cache(self.cache)
        if cache.path(self.kind, self.key).exists():
            return self
        decoded = [decoder.to_int16(decoder.decode(self.folder / path, self.rate)) for path in self.paths]
        arrays = {
            "audio": np.concatenate([samples for samples, _ in decoded]),
            "samples": np.array([len(samples) for samples, _ in decoded], np.int64),
            "clipped": np.array([clipped for _, clipped in decoded], np.int64),
        }
        cache.put(self.kind, self.key, arrays, durable=False)  # checked when read, and soon deleted
        return self


def split_into_chunks(folder: Path, paths: Sequence[str], rate: int, cache: Path, kind: str) -> list[Chunk]:
    """Chunks of at most MAX_CLIPS files and about MAX_BYTES, in the order of ``paths``."""
    code = code_version()
    chunks = []
    for batch in _bounded(folder, paths):
        stats = [(folder / path).stat() for path in batch]
        files = [[path, stat.st_size, stat.st_mtime_ns] for path, stat in zip(batch, stats, strict=True)]
        chunks.append(Chunk(folder, tuple(batch), rate, cache, kind, content_hash([code, rate, files])))
    return chunks


def _bounded(folder: Path, paths: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for path in paths:
        length = (folder / path).stat().st_size
        if batch and (len(batch) == MAX_CLIPS or size + length > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += length
    if batch:
        yield batch


def code_version() -> str:
    """Hash of what turns a file into samples: the decoder's source and the libraries below it."""
    versions = {package: metadata.version(package) for package in ("soundfile", "soxr", "av", "numpy")}
    return content_hash([hash_file(Path(decoder.__file__)), versions, soundfile.__libsndfile_version__])
