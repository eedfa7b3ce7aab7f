"""A dataset's raw files to a corpus folder: decoded in parallel, packed in order, resumable.

The chunks finished so far lie in the cache, outside the output folder, until the corpus is complete. The same raw
files give the same bytes whatever the number of workers and however often the preparation was interrupted.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmark.artifacts import Arrays, Cache, atomic_path, content_hash, hash_file, write_json
from benchmark.corpus.chunks import Chunk, split_into_chunks
from benchmark.corpus.splits import CHECKSUM, JOIN
from benchmark.corpus.store import CLIPS, FORMAT, MANIFEST
from benchmark.errors import DataError, StaleArtifactError
from benchmark.records import Dataset
from benchmark.workspace import Workspace

SHARD_BYTES = 1 << 30

_KIND = "prepare"

_CHECKSUM_BYTES = 8
"""Two of two million different clips have the same checksum with a probability of one in ten million."""


def prepare(
    dataset: Dataset,
    folder: Path,
    out: Path,
    rate: int,
    workers: int,
    standin: bool,
    cache: Path,
    shard_bytes: int = SHARD_BYTES,
) -> dict[str, Any]:
    """Decode the dataset in ``folder`` (its official layout) at ``rate`` Hz into the corpus folder ``out``.

    Args:
        dataset: the record that reads the layout; its ``known_bad`` files are left out and named in the manifest.
        folder: the dataset's own top folder.
        out: replaced; complete once its ``manifest.json`` is there.
        rate: sample rate in Hz.
        workers: decoding threads.
        standin: whether ``folder`` holds synthetic audio; recorded only.
        cache: root of the cache that keeps finished chunks if this is interrupted.
        shard_bytes: largest shard, unless a single clip is larger.

    Returns:
        The manifest.

    Raises:
        DataError: metadata is wrong, or a file outside ``known_bad`` cannot be decoded; one sentence that names it.
        StorageError: the disk is full or cannot be written.
    """
    table = dataset.read(folder)
    bad = table["path"].isin(list(dataset.known_bad))
    kept = table[~bad].reset_index(drop=True)
    if kept.empty:
        raise DataError(f"{folder} holds no clip of {dataset.id}; fetch the dataset again.")
    name = f"{dataset.id}-{rate}"
    with Cache(cache).lock(_KIND, name):
        kind = f"{_KIND}/{name}"
        chunks = split_into_chunks(folder, kept["path"].tolist(), rate, cache, kind)
        fresh = out.with_name(f".{out.name}.partial")
        _clear(fresh)
        packed = _pack(_decoded(chunks, workers, name), fresh, shard_bytes)
        manifest = _finish(dataset, fresh, rate, standin, kept, table[bad], packed)
        _clear(out)
        fresh.rename(out)
        shutil.rmtree(cache / kind)
    return manifest


def prepare_corpus(
    dataset: Dataset, found: dict[str, Any], workspace: Workspace, rate: int, workers: int
) -> dict[str, Any]:
    """The prepare stage: pack what :func:`benchmark.corpus.scan.scan` ``found``, or record that it is absent.

    A stand-in must have been written. Doing so is not imported here: else an edit of what only stand-ins and fetching need
    would prepare all real data again.
    """
    out = workspace.corpus(dataset.id, rate)
    if not found["present"]:
        return write_absent(out, dataset.id, rate, found["reason"])
    standin = found["data"] == "standin"
    folder = workspace.standin(dataset.id) if standin else workspace.raw / dataset.folder
    return prepare(dataset, folder, out, rate, workers, standin, workspace.cache)


def write_absent(out: Path, dataset: str, rate: int, reason: str) -> dict[str, Any]:
    """Write the manifest of a dataset that is not there: not a failure, only cells that will say ``reason``."""
    _clear(out)
    facts = {"status": "absent", "dataset": dataset, "sample_rate": rate, "reason": reason}
    manifest = {"format": FORMAT, **facts, "fingerprint": content_hash(facts)}
    write_json(out / MANIFEST, manifest)
    return manifest


def _clear(out: Path) -> None:
    """Remove an earlier corpus; its manifest first, so that what remains of a killed removal never looks complete."""
    (out / MANIFEST).unlink(missing_ok=True)
    if out.exists():
        shutil.rmtree(out)


def _decoded(chunks: list[Chunk], workers: int, name: str) -> Iterator[Chunk]:
    """The chunks in order, each as soon as the cache holds it, while workers go on with those after it.

    Samples go through the cache, so that none wait in memory. Threads serve as well as processes here, and start at once:
    libsndfile, FFmpeg and soxr work outside Python's lock.
    """
    pool = ThreadPoolExecutor(workers)
    clips = sum(len(chunk.paths) for chunk in chunks)
    try:
        with tqdm(total=clips, desc=f"prepare {name}", unit="clip", disable=None) as progress:
            for chunk in pool.map(Chunk.run, chunks):
                yield chunk
                progress.update(len(chunk.paths))
    finally:
        pool.shutdown(cancel_futures=True)  # an error or Ctrl-C lets the chunks in progress finish


class _Packed:
    """What packing found out: the shards; samples, clipped samples and checksum of each clip; a hash of the whole stream."""

    def __init__(self) -> None:
        self.shards: list[dict[str, Any]] = []
        self.samples: list[int] = []
        self.clipped: list[int] = []
        self.checksums: list[str] = []
        self.audio = hashlib.blake2b(digest_size=16)


def _pack(chunks: Iterable[Chunk], out: Path, shard_bytes: int) -> _Packed:
    """Write the chunks' clips end to end into shards of at most ``shard_bytes``, cutting none."""
    packed = _Packed()
    clips = _clips(chunks, packed)
    clip = next(clips, None)
    while clip is not None:
        name = f"audio-{len(packed.shards):05d}.i16"
        with atomic_path(out / name) as temporary:
            with temporary.open("wb") as file:
                count, clip = _fill_shard(file, clip, clips, shard_bytes)
            size, digest = temporary.stat().st_size, hash_file(temporary)
        packed.shards.append({"file": name, "bytes": size, "clips": count, "hash": digest})
    return packed


def _fill_shard(
    file: BinaryIO, clip: memoryview | None, clips: Iterator[memoryview], shard_bytes: int
) -> tuple[int, memoryview | None]:
    """Write clips until the next would not fit; returns how many were written and that next one."""
    count = 0
    while clip is not None and (count == 0 or file.tell() + clip.nbytes <= shard_bytes):
        file.write(clip)
        count += 1
        clip = next(clips, None)
    return count, clip


def _clips(chunks: Iterable[Chunk], packed: _Packed) -> Iterator[memoryview]:
    """The bytes of every clip in order, one chunk in memory at a time, noted in ``packed``."""
    for chunk in chunks:
        arrays = _finished(chunk)
        packed.audio.update(arrays["audio"].data)
        packed.samples += arrays["samples"].tolist()
        packed.clipped += arrays["clipped"].tolist()
        for clip in np.split(arrays["audio"], np.cumsum(arrays["samples"])[:-1]):
            packed.checksums.append(hashlib.blake2b(clip.data, digest_size=_CHECKSUM_BYTES).hexdigest())
            yield clip.data.cast("B")


def _finished(chunk: Chunk) -> Arrays:
    entry = Cache(chunk.cache).get(chunk.kind, chunk.key)
    if entry is None:
        raise StaleArtifactError(
            f"The cache in {chunk.cache} was emptied during preparation; run the same command again."
        )
    return entry[0]


def _finish(
    dataset: Dataset, out: Path, rate: int, standin: bool, kept: pd.DataFrame, bad: pd.DataFrame, packed: _Packed
) -> dict[str, Any]:
    """Write the clips table and, last, the manifest."""
    clips = kept.assign(samples=np.array(packed.samples, np.int64))
    with atomic_path(out / CLIPS) as temporary:
        clips.assign(**{CHECKSUM: packed.checksums}).to_parquet(temporary, index=False)
    content = {
        "audio": packed.audio.hexdigest(),
        "clips": hashlib.blake2b(clips.to_csv(index=False).encode(), digest_size=16).hexdigest(),
        "sample_rate": rate,
    }
    manifest = {
        "format": FORMAT,
        "status": "ok",
        "dataset": dataset.id,
        "sample_rate": rate,
        "standin": standin,
        "source": {"title": dataset.title, "homepage": dataset.homepage, "licence": dataset.licence},
        "samples": int(clips["samples"].sum()),
        "coverage": {"clips": len(clips), "expected_clips": dataset.expected_clips, "groups": clips["group"].nunique()},
        "classes": {
            **{label: _counts(clips[label]) for label in dataset.labels},
            **{
                label: _counts(clips[label].str.split(JOIN).explode().replace("", None))
                for label in dataset.multi_labels
            },
        },
        "parts": {column: _counts(clips[column]) for column in ("fold", "split") if column in clips},
        "clipped": {"clips": int(np.count_nonzero(packed.clipped)), "samples": sum(packed.clipped)},
        "dropped": [
            {"clip_id": row.clip_id, "path": row.path, "reason": dataset.known_bad[str(row.path)]}
            for row in bad.itertuples()
        ],
        "shards": packed.shards,
        "clips": {"file": CLIPS, "bytes": (out / CLIPS).stat().st_size, "hash": hash_file(out / CLIPS)},
        "content": content,
        "fingerprint": content_hash(content),
    }
    write_json(out / MANIFEST, manifest)
    return manifest


def _counts(values: pd.Series) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().items()}
