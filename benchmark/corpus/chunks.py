"""The unit of preparation: a few files decoded in one go, by threads that keep ahead of whoever uses their samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmark.artifacts import content_hash, hash_file
from benchmark.corpus import decode as decoder

MAX_CLIPS = 16
MAX_BYTES = 8 << 20
"""Bounds of a chunk in files and in bytes of raw files: of such chunks a few a worker are in memory at a time."""


class Source(NamedTuple):
    """A raw file, and what tells that it has changed since."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Decoded:
    """A file's samples ``(T,)``, and how many of them had to be clipped."""

    source: Source
    audio: NDArray[np.int16]
    clipped: int


def sources(folder: Path, paths: Sequence[str]) -> list[Source]:
    """The files ``paths`` below ``folder`` as they are now."""
    stats = ((path, (folder / path).stat()) for path in paths)
    return [Source(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def split_into_chunks(files: Sequence[Source]) -> Iterator[list[Source]]:
    """At most MAX_CLIPS files and about MAX_BYTES each, in order."""
    batch: list[Source] = []
    size = 0
    for file in files:
        if batch and (len(batch) == MAX_CLIPS or size + file.size > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch


def decoded(folder: Path, files: Sequence[Source], rate: int, workers: int) -> Generator[list[Decoded]]:
    """The chunks of ``files`` in order, decoded at ``rate`` Hz by threads that are at most ``workers + 1`` chunks ahead.

    Threads serve as well as processes here, and start at once: libsndfile, FFmpeg and soxr work outside Python's lock.

    Raises:
        DataError: a file cannot be decoded.
    """
    pool = ThreadPoolExecutor(workers)
    ahead: deque[Future[list[Decoded]]] = deque()
    try:
        for chunk in split_into_chunks(files):
            ahead.append(pool.submit(_decode, folder, chunk, rate))
            if len(ahead) > workers + 1:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # an error or Ctrl-C lets the chunks in progress finish


def _decode(folder: Path, chunk: list[Source], rate: int) -> list[Decoded]:
    return [Decoded(file, *decoder.to_int16(decoder.decode(folder / file.path, rate))) for file in chunk]


def code_version() -> str:
    """Hash of what turns a file into samples: the decoder's source and the libraries below it."""
    versions = {package: metadata.version(package) for package in ("soundfile", "soxr", "av", "numpy")}
    return content_hash([hash_file(Path(decoder.__file__)), versions, soundfile.__libsndfile_version__])
