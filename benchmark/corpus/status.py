"""What is known of a dataset's size and what of it is on this machine; looks at receipts and manifests, not at audio."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmark.corpus.receipts import raw_state
from benchmark.corpus.store import MANIFEST
from benchmark.records import Archive, Dataset


def dataset_status(dataset: Dataset, raw: Path, root: Path) -> dict[str, Any]:
    """JSON-able facts: the record's, the raw data's below ``raw`` and the prepared corpora's of the project at ``root``."""
    state, units = raw_state(dataset, raw)
    missing = [part for unit in units for part in unit.parts]
    total, unknown = archive_bytes(dataset.archives)
    missing_total, missing_unknown = archive_bytes(missing)
    return {
        "name": dataset.id,
        "title": dataset.title,
        "licence": dataset.licence,
        "access": dataset.access,
        "bytes": total,
        "sizes_unknown": unknown,
        "raw": state,
        "missing_archives": [part.file for part in missing],
        "missing_bytes": missing_total,
        "missing_sizes_unknown": missing_unknown,
        "prepared": _prepared(dataset.id, root / "data" / "prepared"),
    }


def archive_bytes(archives: Iterable[Archive]) -> tuple[int, int]:
    """Bytes of the archives whose size is published, and how many there are without one."""
    sizes = [archive.bytes for archive in archives]
    return sum(size for size in sizes if size is not None), sizes.count(None)


def size(total: int, unknown: int = 0) -> str:
    """``12.3 GB``; a plus sign says that some sizes are not published, a dash that there is nothing."""
    if not total:
        return "unknown" if unknown else "-"
    shown = f"{total / 1e9:.1f} GB" if total >= 1e8 else f"{total / 1e6:.1f} MB"
    return f"{shown}+" if unknown else shown


def _prepared(dataset: str, folder: Path) -> dict[str, list[int]]:
    """Sample rates in Hz at which the dataset is prepared, by profile."""
    found: dict[str, list[int]] = {}
    for path in sorted(folder.glob(f"*/{dataset}-*/{MANIFEST}")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["dataset"] == dataset and manifest["status"] == "ok":
            found.setdefault(path.parent.parent.name, []).append(int(manifest["sample_rate"]))
    return {profile: sorted(rates) for profile, rates in found.items()}
