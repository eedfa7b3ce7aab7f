"""Embeddings of a user's own audio files: decoded as the corpora are, embedded as evaluation does, written as NPZ or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from benchmark.artifacts import atomic_path, canonical_json
from benchmark.corpus.decode import decode, to_int16
from benchmark.corpus.layout import MEDIA
from benchmark.errors import ConfigError, DataError
from benchmark.evaluation.waveforms import embed_slices
from benchmark.signal.crops import to_waveforms
from benchmark.signal.encoder import Encoder
from benchmark.signal.inference import for_inference

FORMATS = (".npz", ".parquet")
_ROWS_A_GROUP = 1024


@dataclass(frozen=True)
class FileEmbedding:
    """One file's embeddings."""

    file: str
    slices: NDArray[np.float32]
    """``(S, D)``"""
    starts: NDArray[np.float64]
    """``(S,)`` seconds"""
    seconds: float
    """Length of a slice."""

    @property
    def clip(self) -> NDArray[np.float32]:
        """The mean over the slices, ``(D,)``."""
        mean: NDArray[np.float32] = self.slices.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean


def find_audio(paths: Sequence[Path]) -> list[Path]:
    """The files named, and all audio files below the folders named, each once, in order.

    Raises:
        ConfigError: a path does not exist, or there is no audio file.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path} does not exist; name audio files, or folders of them.")
        below = sorted(each for each in path.rglob("*") if each.suffix.lower() in MEDIA and each.is_file())
        found.update(dict.fromkeys(below if path.is_dir() else [path]))
    if not found:
        raise ConfigError(
            f"There is no audio file in {', '.join(map(str, paths))} (known suffixes: {', '.join(MEDIA)})."
        )
    return list(found)


def embed_files(encoder: Encoder, files: Sequence[Path], device: torch.device) -> Iterator[FileEmbedding]:
    """Embed one file after the other; one waveform is in memory at a time.

    A file goes through 16-bit samples, as a corpus does, so that equal audio has equal embeddings.

    Raises:
        DataError: a file cannot be read.
    """
    encoder = for_inference(encoder).to(device)
    for file in tqdm(files, desc="embed", unit="file", disable=None):
        samples, _ = to_int16(_decoded(file, encoder.sample_rate))
        with torch.inference_mode():
            slices, starts, seconds = embed_slices(encoder, to_waveforms(samples[None], device))
        yield FileEmbedding(str(file), slices[0].cpu().numpy(), starts, seconds)


def write_embeddings(
    out: Path, embeddings: Iterable[FileEmbedding], size: int, timestamps: bool, metadata: dict[str, Any]
) -> None:
    """Write ``.npz`` or ``.parquet`` by the suffix of ``out``, atomically.

    NPZ holds ``files (n,)`` and ``clips (n, D)``; with ``timestamps`` also ``slices (S, D)``, ``clip_of_slice (S,)``,
    ``start_seconds (S,)`` and ``slice_seconds (S,)``; ``metadata`` is JSON. No array needs pickle. Parquet has one row a file,
    or a slice, written as the files are embedded, and the JSON under the key ``benchmark`` of its schema.

    Raises:
        ConfigError: another suffix.
        StorageError: ``out`` cannot be written.
    """
    if out.suffix not in FORMATS:
        raise ConfigError(f"--out {out}: embeddings are written as {' or '.join(FORMATS)}.")
    with atomic_path(out) as temporary:
        if out.suffix == ".npz":
            _write_npz(temporary, embeddings, timestamps, metadata)
        else:
            _write_parquet(temporary, embeddings, size, timestamps, metadata)


def _write_npz(path: Path, embeddings: Iterable[FileEmbedding], timestamps: bool, metadata: dict[str, Any]) -> None:
    kept = []
    clips = []
    for each in embeddings:
        clips.append(each.clip)
        kept.append(each if timestamps else FileEmbedding(each.file, each.slices[:0], each.starts[:0], each.seconds))
    arrays = {"files": np.array([each.file for each in kept]), "clips": np.stack(clips)}
    if timestamps:
        counts = [len(each.slices) for each in kept]
        arrays |= {
            "slices": np.concatenate([each.slices for each in kept]),
            "clip_of_slice": np.repeat(np.arange(len(kept)), counts),
            "start_seconds": np.concatenate([each.starts for each in kept]),
            "slice_seconds": np.repeat([each.seconds for each in kept], counts),
        }
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, metadata=np.array(canonical_json(metadata)), **arrays)


def _write_parquet(
    path: Path, embeddings: Iterable[FileEmbedding], size: int, timestamps: bool, metadata: dict[str, Any]
) -> None:
    times = [pa.field("start_seconds", pa.float64()), pa.field("slice_seconds", pa.float64())] if timestamps else []
    fields = [pa.field("file", pa.string()), *times, pa.field("embedding", pa.list_(pa.float32(), size))]
    schema = pa.schema(fields, metadata={"benchmark": json.dumps(metadata, sort_keys=True)})
    with pq.ParquetWriter(path, schema) as writer:
        for group in _groups(embeddings, timestamps):
            values = np.concatenate([each.slices if timestamps else each.clip[None] for each in group])
            counts = [len(each.slices) if timestamps else 1 for each in group]
            columns = [pa.array(np.repeat([each.file for each in group], counts), pa.string())]
            if timestamps:
                columns.append(pa.array(np.concatenate([each.starts for each in group])))
                columns.append(pa.array(np.repeat([each.seconds for each in group], counts)))
            columns.append(pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), size))
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _groups(embeddings: Iterable[FileEmbedding], timestamps: bool) -> Iterator[list[FileEmbedding]]:
    """Files that are written together: as many as make a row group."""
    group: list[FileEmbedding] = []
    rows = 0
    for each in embeddings:
        group.append(each)
        rows += len(each.slices) if timestamps else 1
        if rows >= _ROWS_A_GROUP:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _decoded(file: Path, rate: int) -> NDArray[np.float32]:
    try:
        return decode(file, rate)
    except DataError as error:
        fault = str(error).partition("; ")[0]  # what follows is advice about datasets
        raise DataError(f"{fault}; leave it out or replace it.") from error
