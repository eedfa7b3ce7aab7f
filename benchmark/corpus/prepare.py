"""A dataset's raw files to a corpus folder: decoded in parallel, packed in order, resumable.

What is finished lies in a hidden folder beside the output until the corpus is complete (:mod:`benchmark.corpus.shards`). The same
raw files give the same bytes whatever the number of workers and however often the preparation was interrupted.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmark.artifacts import Cache, atomic_path, content_hash, hash_file, write_json
from benchmark.corpus.chunks import Source, code_version, decoded, sources
from benchmark.corpus.shards import JOURNAL, ShardWriter
from benchmark.corpus.splits import JOIN
from benchmark.corpus.store import CHECKSUM, CLIPS, FORMAT, MANIFEST
from benchmark.errors import DataError
from benchmark.records import Dataset
from benchmark.workspace import Workspace

SHARD_BYTES = 1 << 30

_KIND = "prepare"


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
        cache: root of the cache, where a lock keeps a second process from preparing the same.
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
        files = sources(folder, kept["path"].tolist())
        partial = out.with_name(f".{out.name}.partial")
        packed = ShardWriter(partial, content_hash([code_version(), rate, shard_bytes]), shard_bytes)
        _pack(packed, folder, files, rate, workers, name)
        manifest = _finish(dataset, partial, rate, standin, kept, table[bad], packed)
        _clear(out)
        (partial / JOURNAL).unlink()
        partial.rename(out)
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


def _pack(packed: ShardWriter, folder: Path, files: list[Source], rate: int, workers: int, name: str) -> None:
    """Write what an earlier preparation left to write."""
    done = packed.resume(files)
    chunks = decoded(folder, files[done:], rate, workers)
    with (
        closing(chunks),
        tqdm(total=len(files), initial=done, desc=f"prepare {name}", unit="clip", disable=None) as progress,
    ):
        for count in packed.extend(chunks):
            progress.update(count)
    packed.close()


def _finish(
    dataset: Dataset, out: Path, rate: int, standin: bool, kept: pd.DataFrame, bad: pd.DataFrame, packed: ShardWriter
) -> dict[str, Any]:
    """Write the clips table and, last, the manifest."""
    clips = kept.assign(samples=np.array(packed.samples, np.int64))
    with atomic_path(out / CLIPS) as temporary:
        clips.assign(**{CHECKSUM: packed.checksums}).to_parquet(temporary, index=False)
    content = {
        "audio": packed.content,
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
