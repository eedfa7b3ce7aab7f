"""What the plan hands to each stage: one small JSON a stage, complete and resolved. Free of torch.

A stage reads its job, the corpora and outputs that the job names, and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from benchmark.artifacts import content_hash, read_json
from benchmark.config import Config, Machine, Model, Protocol, Training, validate


class CorpusRef(Config):
    """A prepared dataset at one sample rate; ``fingerprint`` is its manifest's and guards against stale data."""

    dataset: str
    rate: int
    fingerprint: str
    standin: bool
    absent: str = ""
    """Why there is no such corpus; empty where there is one."""


class Job(Config):
    """What all jobs share."""

    study: str
    profile: str
    run: str
    """Run family, e.g. ``simclr_us8k``."""
    name: str
    """Family and seed, e.g. ``simclr_us8k-0``: the stage's name."""
    method: str
    encoder: str
    seed: int
    machine: Machine
    code: str
    """Hash of the code closure of this stage, comments and docstrings left out."""
    versions: dict[str, str]
    """Versions of the libraries that decide the numbers."""
    status: Literal["ready", "not run"] = "ready"
    reason: str = ""

    @property
    def key(self) -> str:
        """Hash of everything that determines the stage's output."""
        return content_hash(self.model_dump(mode="json"))


class TaskRef(Config):
    """A task and the corpus that holds its clips."""

    task: str
    record: dict[str, Any]
    """The task's record and its dataset's classes: a change of either is a change of the job."""
    corpus: CorpusRef
    missing: str = ""
    """Why the task cannot be scored although its corpus is there; empty where it can."""


class ProbeJob(Config):
    """What is measured while a run trains; see :class:`.config.ProbeSpec`."""

    task: TaskRef
    protocol: Protocol
    every: int | None
    last: int
    select: bool


class PretrainJob(Job):
    """One run to pre-train (or, for a method without training, to export)."""

    method_config: dict[str, Any]
    encoder_config: dict[str, Any]
    training: Training
    sources: tuple[CorpusRef, ...] = Field(description="corpora to train on")
    excluded: tuple[CorpusRef, ...] = Field(
        description="corpora evaluated later: their clips and their groups are forbidden"
    )
    task: str | None = Field(description="train with this task's labels, one part a fold")
    labels: str | None = Field(None, description="train with this task's labels, one part on its training clips")
    audio_of: str | None = Field(None, description="train on the audio of this task's training part")
    unseen: tuple[str, ...] = Field(
        (),
        description="with audio_of: tasks of the same dataset that are evaluated; no validation or test clip is read",
    )
    probe: ProbeJob | None = None


class EvaluateJob(Job):
    """One run to score on its tasks under its protocols."""

    pretrain_dataset: str
    variant: str
    transductive: bool
    seen: tuple[CorpusRef, ...] = Field(
        (),
        description="of a transductive run, the corpora that pre-training read without leaving out what is evaluated",
    )
    tasks: tuple[TaskRef, ...]
    protocols: dict[str, Protocol]
    snapshot_protocol: str = Field(description="under which snapshots of the run are scored")
    fine_tuning_code: dict[str, str] = Field(
        default_factory=dict,
        description="protocol that fine-tunes -> hash of the code behind it, which frozen heads do not depend on",
    )


class ReportRun(Config):
    """What the statistics and tables need to know of a run family."""

    title: str
    seeds: tuple[int, ...]
    names: tuple[str, ...] = Field(description="stage names, one a seed")
    untrained: str | None
    supervised: dict[str, str]
    transductive: bool


class ReportJob(Config):
    """Aggregate, tables and report of one profile."""

    profile: str
    standin: bool
    seed: int
    bootstrap: int
    studies: tuple[str, ...]
    runs: dict[str, dict[str, ReportRun]] = Field(description="study -> run family -> facts")
    metrics: dict[str, str] = Field(
        default_factory=dict, description="headline metric by task, where it is not accuracy"
    )
    departures: tuple[str, ...] = Field(
        (), description="in what the scale differs from what the papers' claims name: scores are proxies only"
    )
    code: str


def read_job(model: type[Model], path: Path) -> Model:
    """The job in a plan file; a missing or damaged file raises a one-sentence error."""
    return validate(model, read_json(path), str(path))
