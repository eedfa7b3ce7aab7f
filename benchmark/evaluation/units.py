"""A run's evaluation as units that any process with the same files can do, in any order and more than once.

A unit is one cell of the cache and says by its key what belongs there. Whoever computes units only fills the cache; the stage
itself then collects every score from it. So the bytes are those of a run that had no help, and no cell stands twice in a table.
A protocol whose cells are finer than part x task x protocol gives several units of the same names with keys of their own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from benchmark.artifacts import Cache, read_json
from benchmark.errors import ConfigError, StaleArtifactError
from benchmark.evaluation.stage import Cell, Evaluation, not_run_because
from benchmark.jobs import EvaluateJob
from benchmark.pretraining.device import deterministic_torch
from benchmark.workspace import Workspace


@dataclass(frozen=True)
class Unit:
    """One part of a run under one protocol on one task; plain values, so that it can be sent anywhere."""

    run: str
    part: str
    task: str
    protocol: str
    key: str
    """Of its entry among the cache's cells."""
    embedding: str
    """Key of the embeddings it reads, which units share."""
    samples: int
    """Samples of audio those embeddings are made from: about what they cost."""

    def __str__(self) -> str:
        return f"{self.run}, part {self.part}, on {self.task} under {self.protocol}"

    def done(self, cache: Cache) -> bool:
        """Whether the cache holds its cell."""
        return cache.path("cells", self.key).exists()


@dataclass(frozen=True)
class Shard:
    """One of ``count`` shares of the work; ``number`` counts from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``2/8`` as the second of eight.

        Raises:
            ConfigError: it is not of that form, or there is no such shard.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        number, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= count:
            raise ConfigError(f"Shard {text!r} is not <number>/<count>, for example 1/8 to 8/8.")
        return cls(number, count)


def units(job: EvaluateJob, workspace: Workspace) -> list[Unit]:
    """Every unit of a run, in the order of the stage; none where the run cannot be scored. Computes nothing.

    Raises:
        StaleArtifactError, CorruptArtifactError: a corpus or an encoder is missing, or not what it should be.
    """
    if not (parts := _parts(job, workspace)):
        return []
    evaluation = Evaluation(job.model_copy(update={"seen": ()}), workspace, torch.device("cpu"))
    return [
        Unit(
            run=job.name,
            part=part["part"],
            task=cell.data.task.id,
            protocol=cell.protocol_name,
            key=cell.key(job.seed),
            embedding=cell.embedded.key,
            samples=int(cell.data.clips["samples"].sum()),
        )
        for part in parts
        for _, cells in evaluation.cells(part)
        for cell in cells
    ]


def compute(job: EvaluateJob, workspace: Workspace, chosen: Sequence[Unit], progress: str | None = None) -> None:
    """See to it that the cache holds the cells of the ``chosen`` units of one run, and the embeddings they are made from.

    Args:
        job: of the run; only the tasks that the units name are opened.
        workspace: where corpora, encoders and the cache lie.
        chosen: units of this run.
        progress: title of the progress bar; None shows none.

    Raises:
        StaleArtifactError: the run has no such unit: its job, encoders or data are not those that the units were listed from.
    """
    with deterministic_torch(job.machine) as device:
        found = _cells(job, workspace, chosen, device)
        for evaluation, cell in tqdm(
            found, total=len(chosen), desc=progress, unit="cell", disable=True if progress is None else None
        ):
            evaluation.outcomes(cell)


def compute_embeddings(job: EvaluateJob, workspace: Workspace, unit: Unit) -> None:
    """See to it that the cache holds the embeddings that a unit reads; errors are those of :func:`compute`."""
    with deterministic_torch(job.machine) as device:
        for _, cell in _cells(job, workspace, [unit], device):
            _ = cell.embedded.embeddings


def by_embedding(found: Iterable[Unit]) -> list[list[Unit]]:
    """Units that read the same embeddings, together; the largest embeddings first, else in order."""
    groups: dict[str, list[Unit]] = defaultdict(list)
    for unit in found:
        groups[unit.embedding].append(unit)
    return sorted(groups.values(), key=lambda group: -group[0].samples)


def share(found: Iterable[Unit], shard: Shard) -> list[Unit]:
    """The units of one shard: whole groups of :func:`by_embedding`, each given to the shard with the least audio so far.

    Of the same units every shard finds the same division, so together they do each unit once and embed nothing twice.
    """
    shares: list[list[Unit]] = [[] for _ in range(shard.count)]
    loads = [0] * shard.count
    for group in by_embedding(found):
        least = loads.index(min(loads))
        shares[least] += group
        loads[least] += group[0].samples
    return shares[shard.number - 1]


def compute_shard(job: EvaluateJob, workspace: Workspace, shard: Shard) -> int:
    """Compute one shard of a run into the cache; returns the number of its units."""
    mine = share(units(job, workspace), shard)
    compute(job, workspace, mine, f"evaluate {job.name}, shard {shard.number}/{shard.count}")
    return len(mine)


def _parts(job: EvaluateJob, workspace: Workspace) -> list[dict[str, Any]]:
    run = read_json(workspace.run(job.name) / "run.json")
    return [] if not_run_because(job, run) else list(run["parts"])


def _cells(
    job: EvaluateJob, workspace: Workspace, chosen: Sequence[Unit], device: torch.device
) -> Iterator[tuple[Evaluation, Cell]]:
    """The chosen units' cells, of an evaluation that has opened their tasks alone."""
    tasks, parts = {unit.task for unit in chosen}, {unit.part for unit in chosen}
    refs = tuple(ref for ref in job.tasks if ref.task in tasks)
    evaluation = Evaluation(job.model_copy(update={"seen": (), "tasks": refs}), workspace, device)
    left = {unit.key: unit for unit in chosen}
    for part in _parts(job, workspace):
        for _, cells in evaluation.cells(part) if part["part"] in parts else ():
            for cell in cells:
                if left.pop(cell.key(job.seed), None):
                    yield evaluation, cell
    for unit in left.values():
        raise StaleArtifactError(
            f"{unit}: there is no such cell any more; the plan, an encoder or a corpus has changed, so start again."
        )
