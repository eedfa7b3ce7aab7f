"""Which pre-training audio is also evaluated: every corpus of a profile's runs against every task, and each task in itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd

from benchmark import registry
from benchmark.config import Profile, load_params
from benchmark.corpus.overlap import overlap, within
from benchmark.corpus.store import CHECKSUM, MANIFEST, Corpus, read_manifest
from benchmark.plan import Entry, entries, profile_of
from benchmark.records import Task
from benchmark.workspace import Workspace


@dataclass(frozen=True)
class Leak:
    """One pair of what is trained on and what is evaluated."""

    source: str
    """Pre-training corpus; the task's own training part where it is compared with its test part."""
    task: str
    sources: int = 0
    """Source ids in common."""
    clips: int = 0
    """Test clips that share a source or their samples; of a task's own training part the training clips that do."""
    of: int = 0
    """Test clips; 0 for a task's own training part."""
    identical: int = 0
    """Of these, clips with the same samples."""
    by_part: str = ""
    """``clips`` by fold."""
    handling: str = ""
    runs: tuple[str, ...] = ()
    """Run families that pre-train on the one and are scored on the other."""
    flagged: tuple[str, ...] = ()
    """Of these, the transductive ones: what leaks reaches their scores, which say so."""
    remaining: int = 0
    """Clips of the task's own training part that leak and are trained on."""

    @property
    def reaches_a_score(self) -> bool:
        """Whether some score of the profile is made with this leak."""
        return bool(self.remaining or (self.clips and self.flagged))


def find_leaks(workspace: Workspace) -> list[Leak]:
    """Every pair of the profile that shares anything, and every pair that cannot be looked at because data is missing.

    Raises:
        BenchmarkError: a prepared corpus is damaged.
    """
    profile = profile_of(load_params(workspace.root), workspace.profile)
    found = entries(workspace.root, profile, f"params.yaml: profiles.{workspace.profile}")
    tables = _Tables(workspace, profile)
    tasks = {name: _load(name) for entry in found for name in entry.spec.evaluate}
    corpora = sorted({name for entry in found for name in entry.spec.data})
    leaks = [*_between(found, tables, corpora, tasks), *_inside(tables, tasks)]
    return [leak for leak in leaks if leak.clips or not leak.handling]


def text_table(leaks: list[Leak]) -> str:
    """The leaks as a table for a terminal."""
    header = ["trained on", "evaluated", "sources", "clips", "identical", "by fold", "what becomes of them"]
    rows = [
        [
            leak.source,
            leak.task,
            str(leak.sources),
            f"{leak.clips} of {leak.of}" if leak.of else str(leak.clips),
            str(leak.identical),
            leak.by_part,
            leak.handling,
        ]
        for leak in leaks
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    return "\n".join(line.rstrip() for line in lines)


def as_records(leaks: list[Leak]) -> list[dict[str, Any]]:
    """The leaks for JSON."""
    return [{**asdict(leak), "reaches_a_score": leak.reaches_a_score} for leak in leaks]


class _Tables:
    """Clips tables of the profile's prepared corpora, each read once."""

    def __init__(self, workspace: Workspace, profile: Profile) -> None:
        self.workspace, self.profile = workspace, profile
        self._read: dict[tuple[str, int], pd.DataFrame | None] = {}

    def at_one_rate(self, *datasets: str) -> list[pd.DataFrame] | None:
        """Clips tables at the first rate at which all ``datasets`` are prepared; None where there is no such rate."""
        for rate in self.profile.rates_of(datasets[0]):
            tables = [self._table(dataset, rate) for dataset in datasets]
            present = [table for table in tables if table is not None]
            if len(present) == len(datasets):
                return present
        return None

    def _table(self, dataset: str, rate: int) -> pd.DataFrame | None:
        if (dataset, rate) not in self._read:
            self._read[dataset, rate] = self._load(dataset, rate)
        return self._read[dataset, rate]

    def _load(self, dataset: str, rate: int) -> pd.DataFrame | None:
        folder = self.workspace.corpus(dataset, rate)
        if not (folder / MANIFEST).exists() or read_manifest(folder)["status"] == "absent":
            return None
        return Corpus.open(folder).clips


def _between(found: list[Entry], tables: _Tables, corpora: list[str], tasks: dict[str, Task]) -> Iterator[Leak]:
    for corpus in corpora:
        for name, task in tasks.items():
            users = [e for e in found if corpus in e.spec.data and name in e.spec.evaluate]
            if corpus == task.dataset and not users:
                continue
            leak = Leak(
                corpus,
                name,
                runs=tuple(entry.family for entry in users),
                flagged=tuple(entry.family for entry in users if entry.spec.transductive),
            )
            pair = tables.at_one_rate(corpus, task.dataset)
            if pair is None:
                yield leak
                continue
            shared = overlap(task, pair[1], pair[0])
            by_part = " ".join(f"{part}:{count}" for part, count in shared.by_part.items())
            counts = Leak(corpus, name, shared.sources, shared.clips, shared.of, shared.identical, by_part)
            yield replace(counts, handling=_handling(leak, pair), runs=leak.runs, flagged=leak.flagged)


def _handling(leak: Leak, tables: list[pd.DataFrame]) -> str:
    """What becomes of the shared clips, in words."""
    blind = "" if all(CHECKSUM in table for table in tables) else "; no checksums, prepare again"
    dropped = len(leak.runs) - len(leak.flagged)
    parts = [f"dropped from pre-training ({dropped} runs)"] if dropped else []
    parts += [f"trained on and flagged: {', '.join(leak.flagged)}"] if leak.flagged else []
    return (", ".join(parts) or "no run pairs them") + blind


def _inside(tables: _Tables, tasks: dict[str, Task]) -> Iterator[Leak]:
    for name, task in tasks.items():
        own = tables.at_one_rate(task.dataset)
        leak = Leak("its own training part", name)
        if own is None:
            yield leak
            continue
        shared = within(task, own[0])
        handling = f"{shared.remaining} clips TRAINED ON" if shared.remaining else "dropped from training"
        yield replace(
            leak,
            sources=shared.sources,
            clips=shared.dropped + shared.remaining,
            identical=shared.identical,
            remaining=shared.remaining,
            handling=handling,
        )


def _load(name: str) -> Task:
    task: Task = registry.load("task", name)
    return task
