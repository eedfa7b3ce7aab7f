"""What raw data is there, in a form that changes when it does and is the same on every machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from benchmark.artifacts import content_hash
from benchmark.closure import code_hash
from benchmark.corpus.archives import Unit
from benchmark.corpus.layout import walk
from benchmark.corpus.receipts import raw_state
from benchmark.records import Dataset


def scan(dataset: Dataset, raw_root: Path, data: Literal["standin", "real"], seed: int = 0) -> dict[str, Any]:
    """Facts about a dataset's raw files, JSON-able and without a machine's paths.

    Missing data is a fact, not an error: ``present`` is False and ``reason`` says what is missing.

    Returns:
        ``dataset``, ``data``, ``present``, ``reason``, ``files``, ``bytes``, and ``fingerprint``: for real data a hash
        of every file's path, size and time of change; for a stand-in a hash of what writes it.
    """
    facts: dict[str, Any] = {"dataset": dataset.id, "data": data, "present": True, "reason": "", "files": 0, "bytes": 0}
    if data == "standin" and not dataset.has_standin:
        reason = f"{dataset.id} has no stand-in; select a profile with real data"
        return {**facts, "present": False, "reason": reason, "fingerprint": content_hash([dataset.id, "no stand-in"])}
    if data == "standin":
        return {**facts, "fingerprint": standin_fingerprint(dataset, seed)}
    folder = raw_root / dataset.folder
    files = sorted((file.path, file.size, file.mtime_ns) for file in walk(folder)) if folder.is_dir() else []
    state, missing = raw_state(dataset, raw_root)
    if not files or state == "partial":
        reason = f"{_lacking(dataset, missing if state == 'partial' else [])}; run `benchmark fetch {dataset.id}`"
        return {**facts, "present": False, "reason": reason, "fingerprint": content_hash([dataset.id, "absent"])}
    size = sum(size for _, size, _ in files)
    return {**facts, "files": len(files), "bytes": size, "fingerprint": content_hash(files)}


def _lacking(dataset: Dataset, missing: list[Unit]) -> str:
    if missing:
        return f"{dataset.id} is fetched in part, {missing[0].name} is missing"
    return f"no folder {dataset.folder} with files in the data folder (BENCHMARK_DATA, else data/raw)"


def standin_fingerprint(dataset: Dataset, seed: int) -> str:
    """Hash of all that a stand-in's bytes depend on: the dataset, the seed, and the code that writes it."""
    return content_hash([dataset.id, seed, code_hash(["benchmark.corpus.standin", type(dataset).__module__])])
