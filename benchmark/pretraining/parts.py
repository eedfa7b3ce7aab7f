"""Which clips each part of a run trains on: one part, or one a fold where it is scored on the task it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import registry
from benchmark.corpus.splits import SPLIT_SEED, Fold, classes, folds, forbidden_rows, labels, training_audio
from benchmark.corpus.store import Corpus
from benchmark.jobs import CorpusRef, PretrainJob
from benchmark.pretraining.data import Source
from benchmark.pretraining.validation import ValidationAccuracy
from benchmark.records import Dataset, Task
from benchmark.workspace import Workspace

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class PartPlan:
    """What one part trains on."""

    name: str
    """``all`` or ``fold-<name>``."""
    fold: str | None
    sources: list[Source]
    clips: list[dict[str, Any]]
    """By corpus: how many clips there are, are used, and are left out."""
    n_classes: int | None = None
    probes: tuple[ValidationAccuracy, ...] = field(default=())


def plan_parts(job: PretrainJob, workspace: Workspace) -> list[PartPlan]:
    """Open the job's corpora, each restricted to the clips that the part may see.

    Raises:
        StaleArtifactError, CorruptArtifactError: a corpus is not the one the job was planned for, or is damaged.
        DataError: a class has too few clips for its split.
    """
    corpora = [_open(ref, workspace) for ref in job.sources]
    if job.task:
        return _fold_parts(job.task, corpora[0])
    evaluated = [_open(ref, workspace) for ref in job.excluded]
    if job.labels:
        return [_labelled_part(job.labels, corpora[0], evaluated)]
    if job.audio_of:
        return [_audio_part(job.audio_of, job.unseen, corpora[0], evaluated)]
    return [_whole_part(corpora, evaluated)]


def _open(ref: CorpusRef, workspace: Workspace) -> Corpus:
    return Corpus.open(workspace.corpus(ref.dataset, ref.rate), ref.fingerprint)


def _whole_part(corpora: Sequence[Corpus], evaluated: Sequence[Corpus]) -> PartPlan:
    names = ", ".join(corpus.dataset for corpus in evaluated)
    sources, clips = [], []
    for corpus in corpora:
        forbidden = forbidden_rows(corpus.clips, [other.clips for other in evaluated])
        sources.append(
            _source(corpus, ~forbidden, f"it shares a source or its samples with clips that are evaluated ({names})")
        )
        clips.append(_coverage(corpus, ~forbidden, shared=int(forbidden.sum())))
    return PartPlan("all", None, sources, clips)


def _audio_part(name: str, unseen: Sequence[str], corpus: Corpus, evaluated: Sequence[Corpus]) -> PartPlan:
    """The training part of a task, heard without its labels."""
    tasks: list[Task] = [registry.load("task", each) for each in (name, *unseen)]
    shared = forbidden_rows(corpus.clips, [other.clips for other in evaluated])
    allowed = training_audio(tasks[0], corpus.clips, tasks[1:]) & ~shared
    reason = f"it is no training clip of {name}, or shares a source or its samples with a clip that is evaluated"
    return PartPlan(
        "all", None, [_source(corpus, allowed, reason)], [_coverage(corpus, allowed, shared=int(shared.sum()))]
    )


def _labelled_part(task_name: str, corpus: Corpus, evaluated: Sequence[Corpus]) -> PartPlan:
    """The clips that some fold of the task trains on: its training part, and under cross-validation all of its clips."""
    task, numbers, n_classes = _labels(task_name, corpus)
    train = np.zeros(len(corpus.clips), dtype=bool)
    for fold in folds(task, corpus.clips, SPLIT_SEED):
        train[fold.train] = True
    forbidden = forbidden_rows(corpus.clips, [other.clips for other in evaluated])
    reason = f"it is no training clip of {task.id}, or shares a source or its samples with clips that are evaluated"
    source = _source(corpus, train & ~forbidden, reason, numbers)
    coverage = _coverage(corpus, train & ~forbidden, shared=int((train & forbidden).sum()))
    return PartPlan("all", None, [source], [coverage], n_classes)


def _labels(task_name: str, corpus: Corpus) -> tuple[Task, NDArray[np.integer], int]:
    """A task, the labels of every clip of its corpus, and how many classes there are."""
    task: Task = registry.load("task", task_name)
    dataset: Dataset = registry.load("dataset", task.dataset)
    numbers = labels(task, dataset, corpus.clips, corpus.standin)
    return task, numbers, len(classes(task, dataset, corpus.clips, corpus.standin))


def _fold_parts(task_name: str, corpus: Corpus) -> list[PartPlan]:
    task, numbers, n_classes = _labels(task_name, corpus)
    return [_fold_part(task, corpus, fold, numbers, n_classes) for fold in folds(task, corpus.clips, SPLIT_SEED)]


def _fold_part(task: Task, corpus: Corpus, fold: Fold, numbers: NDArray[np.integer], n_classes: int) -> PartPlan:
    train, where = _mask(corpus, fold.train), f"{task.id} fold {fold.name}"
    source = _source(corpus, train, f"{where} trains on its training part only", numbers)
    valid = _source(corpus, _mask(corpus, fold.valid), f"it is no validation clip of {where}")
    return PartPlan(
        f"fold-{fold.name}",
        fold.name,
        [source],
        [_coverage(corpus, train, shared=len(fold.dropped))],
        n_classes,
        (ValidationAccuracy(valid.corpus, valid.rows, numbers),) if numbers.ndim == 1 else (),
    )


def _source(corpus: Corpus, allowed: Mask, reason: str, numbers: NDArray[np.integer] | None = None) -> Source:
    return Source(corpus.restricted(allowed, reason), np.flatnonzero(allowed), numbers)


def _mask(corpus: Corpus, rows: NDArray[np.int64]) -> Mask:
    mask = np.zeros(len(corpus.clips), dtype=bool)
    mask[rows] = True
    return mask


def _coverage(corpus: Corpus, allowed: Mask, *, shared: int) -> dict[str, Any]:
    used = int(allowed.sum())
    return {
        "dataset": corpus.dataset,
        "fingerprint": corpus.fingerprint,
        "standin": corpus.standin,
        "clips": len(allowed),
        "allowed": used,
        "excluded": len(allowed) - used,
        "excluded_for_shared_source": shared,
    }
