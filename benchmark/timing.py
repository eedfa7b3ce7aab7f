"""The ledger of stages: how long each took and how much memory it held. Kept beside the outputs, never inside them."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.artifacts import read_json, write_json
from benchmark.launch import is_main
from benchmark.workspace import Workspace


@contextmanager
def recorded(workspace: Workspace, stage: str, name: str) -> Iterator[None]:
    """Record the wall seconds and peak memory of a stage that ends well; of several ranks the first does."""
    start = time.monotonic()
    yield
    if not is_main():
        return
    record = {"stage": stage, "name": name, "seconds": round(time.monotonic() - start, 2), "peak_mib": _peak_mib()}
    write_json(_folder(workspace) / f"{stage}@{name}.json", record)


def ledger(workspace: Workspace) -> list[dict[str, Any]]:
    """The last record of every stage, the longest first."""
    records = [read_json(file) for file in sorted(_folder(workspace).glob("*.json"))]
    return sorted(records, key=lambda record: -record["seconds"])


def as_text(records: Sequence[Mapping[str, Any]]) -> str:
    """A line for each record of the ledger, and their total."""
    lines = [f"{each['seconds']:9.1f} s {each['peak_mib']:7d} MiB  {each['stage']}@{each['name']}" for each in records]
    seconds, peak = sum(each["seconds"] for each in records), max((each["peak_mib"] for each in records), default=0)
    return "\n".join([*lines, f"{seconds:9.1f} s {peak:7d} MiB  total of {len(records)} stages, peak of one"])


def _folder(workspace: Workspace) -> Path:
    return workspace.build / "timings"


def _peak_mib() -> int:
    """Largest resident memory of this process or of one of its children, in MiB."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return int(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10))
