"""The evaluation stage: one run on all its tasks under all its protocols.

Each part of the run embeds each task's clips once; every head of the grid is trained on those embeddings. Embeddings and cells
(a part under a protocol on a task) are cached by content, outside the stage's output, so a new task or protocol costs only
its own cells and a kill loses at most one.
"""

from __future__ import annotations

import hashlib
import importlib
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from benchmark.artifacts import Cache, atomic_path, content_hash, hash_arrays, read_arrays, read_json, write_json
from benchmark.columns import CURVE_COLUMNS, PREDICTION_COLUMNS
from benchmark.config import Protocol
from benchmark.corpus.splits import TaskClips, forbidden_rows, task_clips
from benchmark.corpus.store import Corpus
from benchmark.distributed import decided, joined, world_size
from benchmark.evaluation.cells import pack, unpack
from benchmark.evaluation.diagnostics import dataset_identity, diagnose
from benchmark.evaluation.embedding import Embeddings, embed
from benchmark.evaluation.protocols import Material, Outcome, run_protocol
from benchmark.evaluation.rows import (
    Row,
    curve_rows,
    detail_rows,
    not_run,
    prediction_rows,
    score_base,
    score_rows,
    score_table,
    with_means,
)
from benchmark.jobs import CorpusRef, EvaluateJob, TaskRef
from benchmark.launch import is_main
from benchmark.pretraining.device import deterministic_torch
from benchmark.pretraining.export import load_part, load_projection, probe_file
from benchmark.signal.encoder import Encoder
from benchmark.signal.projection import Projected
from benchmark.workspace import Workspace

Rows = np.ndarray[Any, np.dtype[np.int64]]


def evaluate(job: EvaluateJob, workspace: Workspace) -> None:
    """Write scores, curves of fine-tuning, predictions and diagnostics to ``workspace.evaluation(job.name)``.

    Raises:
        StaleArtifactError, CorruptArtifactError: a corpus, an encoder or a cache entry is not what it should be.
        DataError: a class has too few clips for its split.
    """
    run = read_json(workspace.run(job.name) / "run.json")
    if reason := not_run_because(job, run):
        return _write(workspace.evaluation(job.name), _all_not_run(job, reason), [], [], {}) if is_main() else None
    with deterministic_torch(job.machine) as device:
        evaluation = Evaluation(job, workspace, device)
        with joined(job.machine, device):
            evaluation.embed_together(run["parts"])
        if not is_main():
            return None
        for part in tqdm(run["parts"], desc=f"evaluate {job.name}", unit="part", disable=None):
            evaluation.add(part)
    scores = [*with_means(evaluation.scores), *evaluation.details]
    folder = workspace.evaluation(job.name)
    return _write(folder, scores, evaluation.curves, evaluation.predictions, evaluation.diagnostics)


def not_run_because(job: EvaluateJob, run: dict[str, Any]) -> str:
    """Why a run has no scores at all; empty where it has. ``run`` is what pre-training left in ``run.json``."""
    if job.status == "not run":
        return job.reason
    return str(run["reason"]) if run["status"] == "not run" else ""


@dataclass(frozen=True)
class _TaskData(TaskClips):
    """A task's clips as a job names them."""

    ref: TaskRef
    flag: str
    """What every score on this task has to say of itself; empty where there is nothing."""


class Evaluation:
    """One run's cells, and the scores collected from them part by part."""

    def __init__(self, job: EvaluateJob, workspace: Workspace, device: torch.device) -> None:
        self.job, self.device = job, device
        self.cache = Cache(workspace.cache)
        self.scores: list[Row] = []
        self.details: list[Row] = []
        self.curves: list[Row] = []
        self.predictions: list[pd.DataFrame] = []
        self.diagnostics: dict[str, Any] = {}
        self.corpora: dict[str, Corpus] = {}
        self.tasks: dict[str, list[_TaskData]] = defaultdict(list)
        self.workspace = workspace
        seen = [self._open(ref).clips for ref in job.seen if not ref.absent]
        for ref in job.tasks:
            if why := ref.corpus.absent or ref.missing:
                self.scores += _task_not_run(job, ref, why)
                continue
            name = ref.corpus.dataset
            if name not in self.corpora:
                self.corpora[name] = self._open(ref.corpus)
            self.tasks[name].append(_task_data(ref, self.corpora[name], job.transductive, seen))

    def _open(self, ref: CorpusRef) -> Corpus:
        return Corpus.open(self.workspace.corpus(ref.dataset, ref.rate), ref.fingerprint)

    def add(self, part: dict[str, Any]) -> None:
        """Score one exported encoder on every dataset."""
        clips: dict[str, tuple[Any, Any]] = {}
        for name, cells in self.cells(part):
            for cell in cells:
                self._collect(cell, self.outcomes(cell))
            if part["step"] is None and (frozen := [cell for cell in cells if cell.protocol.head != "fine_tune"]):
                largest = max(frozen, key=lambda cell: (cell.protocol.feature == "h", len(cell.data.rows)))
                embeddings = largest.embedded.embeddings
                self.diagnostics.setdefault(part["part"], {})[name] = diagnose(embeddings, self.job.seed)
                clips[name] = (embeddings.clips, largest.data.clips["group"].to_numpy(dtype=object))
        if len(clips) > 1:
            features = {name: pair[0] for name, pair in clips.items()}
            groups = {name: pair[1] for name, pair in clips.items()}
            self.diagnostics[part["part"]]["dataset_identity"] = dataset_identity(features, groups, self.job.seed)

    def cells(self, part: dict[str, Any]) -> Iterator[tuple[str, list[Cell]]]:
        """One part's cells, dataset by dataset: all protocols, or one where the part is a snapshot. Nothing is computed yet."""
        encoder, record, head = load_part(self.workspace.run(self.job.name) / part["file"])
        projected = self._projected(part, encoder, record)
        protocols = self._protocols_of(part)
        for name, all_tasks in self.tasks.items():
            corpus = self.corpora[name]
            tasks = [_seen_by(part, protocols, data) for data in all_tasks]
            found: dict[str, _Embedded] = {}
            cells = []
            for (protocol_name, protocol), data in product(protocols.items(), tasks):
                if not protocol.is_for(data.task.id):
                    continue
                if protocol.head == "fine_tune":
                    cells.append(self._tuned_cell(part, record, encoder, corpus, data, protocol_name, protocol))
                    continue
                key = self._embedding_key(record, corpus, data.rows, protocol)
                if key not in found:
                    title = f"{part['part']} on {name}"
                    seen = projected if projected is not None and protocol.feature == "z" else encoder
                    settings = (protocol.hop, self.device, protocol.short, title, protocol.remainder)
                    found[key] = _Embedded(key, partial(embed, seen, corpus, data.rows, *settings), self.cache)
                probed = self._probed(part, data, protocol)
                cells.append(Cell(part, data, corpus, protocol_name, protocol, found[key], head, probed))
            yield name, cells

    def embed_together(self, parts: list[dict[str, Any]]) -> None:
        """Where there are several ranks, fill the cache with all that :meth:`add` will read; each embeds its share of it."""
        for part in parts if world_size() > 1 else []:
            for _, cells in self.cells(part):
                for key, embedded in {cell.embedded.key: cell.embedded for cell in cells}.items():
                    if embedded.cache and decided(embedded.cache.get("embeddings", key) is None):
                        found = embedded.compute()
                        if is_main():
                            embedded.cache.put("embeddings", key, found.arrays())

    def _protocols_of(self, part: dict[str, Any]) -> dict[str, Protocol]:
        chosen = self.job.snapshot_protocol
        return self.job.protocols if part["step"] is None else {chosen: self.job.protocols[chosen]}

    def _embedding_key(
        self, record: dict[str, Any], corpus: Corpus, rows: Rows, protocol: Protocol, code: str | None = None
    ) -> str:
        """Of one task's clips alone: neither another task on the same corpus nor ranks, to the bit, change anything.

        ``code`` is the job's where it is not given.
        """
        who = [record["encoder"], record["config"], record["weights"]]
        who += [record["projection"]] if protocol.feature == "z" else []
        clips = hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()
        what = [corpus.fingerprint, clips, protocol.hop, protocol.short, protocol.remainder]
        machine = self.job.machine.model_dump(exclude={"ranks"})
        return content_hash([who, what, machine, code or self.job.code, self.job.versions])

    def _projected(self, part: dict[str, Any], encoder: Encoder, record: dict[str, Any]) -> Encoder | None:
        """The encoder with its projection head, where a protocol asks for z and the run has one; noted in the record."""
        record["projection"] = ""
        if all(protocol.feature == "h" for protocol in self._protocols_of(part).values()):
            return None
        projection = load_projection(self.workspace.run(self.job.name) / part["file"])
        if projection is None:
            return None
        record["projection"] = hash_arrays({name: value.numpy() for name, value in projection.state_dict().items()})
        return Projected(encoder, projection)

    def _probed(self, part: dict[str, Any], data: _TaskData, protocol: Protocol) -> Rows | None:
        """What the run's probe predicted at the end of its training, where it is this protocol on this task."""
        file = self.workspace.run(self.job.name) / probe_file(part["part"])
        if protocol.head != "intra_knn" or part["step"] is not None or not file.exists():
            return None
        arrays, measured = read_arrays(file)
        same = (measured["task"], measured["protocol"])
        if same != (data.ref.model_dump(mode="json"), protocol.model_dump(mode="json")):
            return None
        predictions: Rows = arrays["predictions"]
        return predictions

    def _tuned_cell(
        self,
        part: dict[str, Any],
        record: dict[str, Any],
        encoder: Encoder,
        corpus: Corpus,
        data: _TaskData,
        name: str,
        protocol: Protocol,
    ) -> Cell:
        """A cell whose every unit has an encoder of its own, and no embeddings to share."""
        start = record if protocol.start == "pretrained" else {**record, "weights": "random"}
        key = self._embedding_key(start, corpus, data.rows, protocol, self.job.fine_tuning_code.get(name))
        windows = partial(_fine_tuning().windows_only, corpus, data.rows, encoder, protocol)
        return Cell(part, data, corpus, name, protocol, _Embedded(key, windows), None, encoder=encoder, record=record)

    def outcomes(self, cell: Cell) -> list[Outcome]:
        """Train and score the cell's heads, unless that has been done before."""
        key = cell.key(self.job.seed)
        with self.cache.lock("cells", key):
            cached = self.cache.get("cells", key)
            outcomes = unpack(*cached) if cached else self._outcomes(cell)
            if cached is None:
                self.cache.put("cells", key, *pack(outcomes))
        return outcomes

    def _outcomes(self, cell: Cell) -> list[Outcome]:
        if cell.protocol.head != "fine_tune":
            return run_protocol(cell.protocol, cell.material, self.job.seed)
        module = _fine_tuning()
        outcomes: list[Outcome] = module.fine_tune(
            module.Tuning(
                protocol=cell.protocol,
                material=cell.material,
                corpus=cell.corpus,
                rows=cell.data.rows,
                encoder=cell.encoder,
                encoder_name=cell.record["encoder"],
                encoder_config=cell.record["config"],
                seed=self.job.seed,
                key=cell.unit_key(self.job.seed, module.unit_settings(cell.protocol)),
                device=self.device,
                cache=self.cache,
            )
        )
        return outcomes

    def _collect(self, cell: Cell, outcomes: list[Outcome]) -> None:
        step = cell.part["step"]
        base = score_base(
            self.job,
            cell.data.task.id,
            cell.protocol_name,
            cell.protocol,
            variant=_variant(self.job.variant, step, cell.protocol),
            weights=cell.part["weights"],
            data=cell.corpus.fingerprint,
        )
        flag = "; ".join(filter(None, (cell.data.flag, _own_flag(cell.protocol))))
        for outcome in outcomes:
            self.scores += score_rows(base, outcome, cell.material, flag)
            if step is not None or outcome.reason:
                continue
            self.predictions.append(prediction_rows(base, outcome, cell.material, cell.data.clips))
            self.curves += curve_rows(base, outcome, cell.material.metric)
            if cell.protocol.details:
                self.details += detail_rows(base, outcome, cell.material, flag)


@dataclass(frozen=True)
class _Embedded:
    """One task's clips embedded by one encoder; several protocols share them."""

    key: str
    """Of their entry in the cache."""
    compute: Callable[[], Embeddings]
    """Embeds the clips, whatever the cache holds."""
    cache: Cache | None = None
    """Where they are kept; None where they cost nothing."""

    @cached_property
    def embeddings(self) -> Embeddings:
        """Read from the cache or computed, once."""
        if self.cache is None:
            return self.compute()
        with self.cache.lock("embeddings", self.key):
            cached = self.cache.get("embeddings", self.key)
            if cached is not None:
                return Embeddings(**cached[0])
            found = self.compute()
            self.cache.put("embeddings", self.key, found.arrays())
            return found


@dataclass(frozen=True)
class Cell:
    """One part of a run under one protocol on one task."""

    part: dict[str, Any]
    data: _TaskData
    corpus: Corpus
    protocol_name: str
    protocol: Protocol
    embedded: _Embedded
    head: nn.Linear | None
    probed: Rows | None = None
    encoder: Encoder | None = None
    """What is fine-tuned, with its ``record``; None where embeddings are all that is needed."""
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def material(self) -> Material:
        """What the protocol works on."""
        data, fold = self.data, self.part["fold"]
        chosen = tuple(each for each in data.folds if fold in {None, each.name})
        task, names = data.task, data.classes
        return Material(
            self.embedded.embeddings,
            data.labels,
            len(names),
            chosen,
            task.id,
            self.head,
            task.kind,
            task.metric,
            names,
            self.probed,
        )

    def key(self, seed: int) -> str:
        """Hash of all that decides the outcomes."""
        classifier = hash_arrays({k: v.numpy() for k, v in self.head.state_dict().items()}) if self.head else ""
        settings = self.protocol.model_dump(mode="json")
        probed = "" if self.probed is None else hash_arrays({"probed": self.probed})
        facts = [self.data.ref.record, settings, self.part["part"], self.part["fold"], seed, classifier, probed]
        return content_hash([self.embedded.key, *facts])

    def unit_key(self, seed: int, settings: dict[str, Any]) -> str:
        """Hash of all that decides each of a fine-tuned cell's units, given what of the protocol does."""
        return content_hash([self.embedded.key, self.data.ref.record, settings, seed])


def _fine_tuning() -> Any:
    """The module, found by name: so the code hash of frozen heads and their embeddings leaves out the training loop."""
    return importlib.import_module("benchmark.evaluation.finetuning")


def _seen_by(part: dict[str, Any], protocols: dict[str, Protocol], data: _TaskData) -> _TaskData:
    """The clips that scoring a part takes: of one that brings its own classifier, its fold's test clips alone."""
    if part["fold"] is None or any(protocol.head != "own" for protocol in protocols.values()):
        return data
    [fold] = [fold for fold in data.folds if fold.name == part["fold"]]
    nothing = fold.train[:0]
    alone = replace(fold, train=nothing, valid=nothing, test=np.arange(len(fold.test)))
    clips = data.clips.iloc[fold.test].reset_index(drop=True)
    return replace(data, clips=clips, rows=data.rows[fold.test], labels=data.labels[fold.test], folds=(alone,))


def _task_data(ref: TaskRef, corpus: Corpus, transductive: bool, seen: list[pd.DataFrame]) -> _TaskData:
    found = task_clips(ref.record, corpus.clips)
    flag = _flag(found, seen) if transductive else ""
    return _TaskData(**vars(found), ref=ref, flag=flag)


def _flag(data: TaskClips, seen: list[pd.DataFrame]) -> str:
    """What scores say whose encoder may have seen test clips: how many are known to have been."""
    test = data.clips.iloc[np.unique(np.concatenate([fold.test for fold in data.folds]))]
    leaked = int(forbidden_rows(test, seen).sum())
    return f"transductive: pre-training saw the source or the samples of {leaked} of {len(test)} test clips"


def _own_flag(protocol: Protocol) -> str:
    """What scores say whose weights were chosen by clips that had trained them."""
    return "weights chosen on training clips too" if protocol.select_on == "train_and_valid" else ""


def _variant(own: str, step: int | None, protocol: Protocol) -> str:
    """The run's variant and the protocol's, with the step of a snapshot in claims' notation."""
    parts = ("" if own == "default" else own, protocol.variant, "" if step is None else f"step={step}")
    return ";".join(filter(None, parts)) or "default"


def _all_not_run(job: EvaluateJob, reason: str) -> list[Row]:
    return [row for ref in job.tasks for row in _task_not_run(job, ref, reason)]


def _task_not_run(job: EvaluateJob, ref: TaskRef, reason: str) -> list[Row]:
    rows: list[Row] = []
    for name, protocol in job.protocols.items():
        if not protocol.is_for(ref.task):
            continue
        base = score_base(
            job, ref.task, name, protocol, variant=_variant(job.variant, None, protocol), weights="", data=""
        )
        rows += not_run(base, protocol.train_sizes, reason, ref.record["metric"])
    return rows


def _write(
    folder: Path, scores: list[Row], curves: list[Row], predictions: list[pd.DataFrame], diagnostics: dict[str, Any]
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with atomic_path(folder / "scores.csv") as temporary:
        score_table(scores).to_csv(temporary, index=False, lineterminator="\n")
    with atomic_path(folder / "curves.csv") as temporary:
        pd.DataFrame(curves, columns=CURVE_COLUMNS).to_csv(temporary, index=False, lineterminator="\n")
    kept = [part for part in predictions if len(part)]
    table = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=PREDICTION_COLUMNS)
    order = ["task", "protocol", "train_size", "head_seed", "fold", "clip_id"]
    with atomic_path(folder / "predictions.parquet") as temporary:
        table.sort_values(order, kind="stable", ignore_index=True).to_parquet(temporary, index=False)
    write_json(folder / "diagnostics.json", diagnostics)
