"""Fine-tuning as a protocol: encoder and a new classifier, trained on each fold's training clips and scored as they are.

One model is in memory at a time, and a copy of its best weights where the protocol selects by validation. Finished units (a
fold, train size and replica) are cached as predictions, without weights; an interrupted one resumes from its checkpoint to the
same bits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmark import registry
from benchmark.artifacts import Cache, content_hash
from benchmark.config import Protocol, validate
from benchmark.corpus.store import Corpus
from benchmark.errors import ConfigError
from benchmark.evaluation.cells import pack, unpack
from benchmark.evaluation.embedding import Embeddings, embed, window_starts
from benchmark.evaluation.protocols import (
    Floats,
    Material,
    Outcome,
    Problem,
    Units,
    classifier_probabilities,
    outcome_of,
    problems_of,
)
from benchmark.evaluation.scoring import merit
from benchmark.pretraining.checkpoint import Checkpoints, TrainingState
from benchmark.pretraining.data import Source, TrainingData
from benchmark.pretraining.export import build_encoder
from benchmark.pretraining.finetuning import TEST, FineTuned, Selection, Watch
from benchmark.pretraining.layers import frozen_modules, parameter_groups
from benchmark.pretraining.loop import Probe, Trainer
from benchmark.pretraining.method import CropRequest, Method
from benchmark.pretraining.schedule import build_optimizer
from benchmark.seeding import isolated_torch_seed
from benchmark.signal.calibration import calibrate_batchnorm
from benchmark.signal.encoder import Encoder, LogMelEncoder

CALIBRATION_CROPS = 512
"""Training crops to which an encoder that starts from random weights fits input statistics and batch-norm."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Tuning:
    """What the units of one part under one protocol on one task share."""

    protocol: Protocol
    """Its ``training`` complete, as the plan resolves it."""
    material: Material
    """Of the task's clips; its embeddings name the windows and hold nothing, see :func:`windows_only`."""
    corpus: Corpus
    rows: Rows
    """``(n,)`` rows of the corpus."""
    encoder: Encoder
    """The part's, in evaluation mode; left as it is."""
    encoder_name: str
    encoder_config: Mapping[str, Any]
    seed: int
    key: str
    """Hash of all that decides the outcomes but for fold, train size and replica."""
    device: torch.device
    cache: Cache


def windows_only(corpus: Corpus, rows: Rows, encoder: Encoder, protocol: Protocol) -> Embeddings:
    """The fixed windows of the clips ``rows (n,)`` with embeddings of no dimension: each unit has an encoder of its own."""
    samples = corpus.clips["samples"].to_numpy(np.int64)[rows]
    hop = round(protocol.hop * corpus.sample_rate)
    clip, _ = window_starts(samples, encoder.window, hop, protocol.remainder)
    return Embeddings(np.empty((len(clip), 0), np.float32), clip, np.zeros(len(clip), bool))


def unit_settings(protocol: Protocol) -> dict[str, Any]:
    """Of a protocol, what decides each unit: another train size or replica leaves those that are finished."""
    return protocol.model_dump(
        mode="json", exclude={"version", "train_sizes", "replicas", "details", "unit", "variant"}
    )


def fine_tune(tuning: Tuning) -> list[Outcome]:
    """Train and score every unit of the grid (folds x train sizes x replicas), one after the other.

    Raises:
        TrainingInterrupted, TrainingDivergedError, StorageError: see :meth:`.loop.Trainer.fit`.
        ConfigError: the protocol freezes what the encoder does not have, or states no length.
        CorruptArtifactError: a cache entry or a checkpoint is damaged.
    """
    problems, failed = problems_of(tuning.protocol, tuning.material, Units(tuning.material, "clip"), tuning.seed)
    return [*(_cached(tuning, problem) for problem in problems), *failed]


def _cached(tuning: Tuning, problem: Problem) -> Outcome:
    """The unit's outcome, trained unless that has been done before."""
    key = content_hash([tuning.key, problem.fold.name, str(problem.train_size), problem.replica])
    with tuning.cache.lock("fine_tuned", key):
        cached = tuning.cache.get("fine_tuned", key)
        if cached is None:
            unit = _Unit(tuning, problem, key)
            tuning.cache.put("fine_tuned", key, *pack([unit.outcome()]))
            unit.checkpoints.clear()
            cached = tuning.cache.get("fine_tuned", key)
            assert cached is not None
        return unpack(*cached)[0]


@dataclass(frozen=True)
class _Trained:
    """What training one unit gives: encoder and classifier in evaluation mode."""

    encoder: Encoder
    head: nn.Linear
    chosen: float | None
    """The step they were taken from, where it was chosen."""
    steps: int
    watched: list[tuple[int, float]]
    """Steps before the last, and the headline metric of the test clips after them."""


class _Unit:
    """One encoder and classifier, trained on one subset of one fold."""

    def __init__(self, tuning: Tuning, problem: Problem, key: str) -> None:
        self.tuning, self.problem = tuning, problem
        facts = (tuning.material.task, problem.fold.name, problem.train_size, problem.replica)
        self.name = "/".join(map(str, ("fine_tune", *facts)))
        """Of its random streams too: the run is not in it, so that all runs of a seed draw the same batches."""
        self.checkpoints = Checkpoints(tuning.cache.root / "checkpoints" / f"fine_tuned-{key}", key)
        self.train = problem.train if tuning.protocol.select == "best_valid" else problem.refit
        self.windows = Units(tuning.material, "slice")

    def outcome(self) -> Outcome:
        """Train, and predict the fold's test clips with the chosen weights."""
        trained, test = self._trained(), self.problem.fold.test
        probabilities = self._probabilities(trained.encoder, trained.head, test)
        outcome = outcome_of(self.tuning.material, self.windows, self.problem, lambda _: probabilities, trained.chosen)
        if self.tuning.protocol.curve_every is None:
            return outcome
        curve = [*trained.watched, (trained.steps, self._merit(test, probabilities))]
        return replace(outcome, curve=np.array(curve, np.float64))

    def _trained(self) -> _Trained:
        tuning, training = self.tuning, self.tuning.protocol.tuning
        method = self._method()
        data = self._data(method.crops())
        if tuning.protocol.start == "random":
            _fit_to(method.encoder, data)
        frozen = frozen_modules(method.encoder, tuning.protocol.freeze)
        tuned = FineTuned(method, frozen, keep_best=tuning.protocol.select == "best_valid")
        steps = training.steps or (training.epochs or 0) * data.steps_per_epoch
        if not steps:
            raise ConfigError("A fine_tune protocol's training has no length; set its steps or epochs.")
        groups = parameter_groups(tuned, method.encoder, tuning.protocol)
        state = TrainingState(tuned, build_optimizer(training, tuned, groups), [])
        self.checkpoints.restore(state)
        probes = self._probes(data)
        Trainer(self.name, tuning.seed, data, training, steps, self.checkpoints, NoCurves(), probes).fit(state)
        encoder, head = tuned.chosen()
        chosen = None if tuned.best is None else float(tuned.best_step.item())
        watched = [(int(entry["step"]), entry[TEST]) for entry in state.history if TEST in entry]
        return _Trained(encoder, head.cpu(), chosen, steps, watched)

    def _method(self) -> Method:
        """A fresh classifier on a copy of the encoder, or on one whose weights are drawn as pre-training draws them."""
        tuning, protocol = self.tuning, self.tuning.protocol
        cls: type[Method] = registry.load("method", protocol.method)
        config = validate(cls.Config, protocol.method_config, f"method {protocol.method}")
        if protocol.start == "random":
            with isolated_torch_seed(tuning.seed, "encoder", tuning.encoder_name):
                encoder = build_encoder(tuning.encoder_name, tuning.encoder_config)
        else:
            encoder = copy.deepcopy(tuning.encoder)
        with isolated_torch_seed(tuning.seed, self.name):
            method = cls(config, encoder, tuning.material.n_classes).to(tuning.device)
        if method.head() is None:
            raise ConfigError(
                f"Method {protocol.method} trains no classifier, so that it cannot fine-tune; name another."
            )
        return method

    def _data(self, request: CropRequest) -> TrainingData:
        """The subset's clips alone: reading any other clip of the corpus raises."""
        tuning, training = self.tuning, self.tuning.protocol.tuning
        own = self.problem.labels
        labels = np.zeros((len(tuning.corpus), *own.shape[1:]), own.dtype)
        labels[tuning.rows] = own
        reason = f"fine-tuning on {tuning.material.task} fold {self.problem.fold.name} trains on its own training clips"
        rows = tuning.rows[self.train]
        return TrainingData(
            [Source(_only(tuning.corpus, rows, reason), rows, labels)],
            request,
            training.batch_size,
            seed=tuning.seed,
            run=self.name,
            device=tuning.device,
            max_clips=training.max_clips,
        )

    def _probes(self, data: TrainingData) -> list[Probe]:
        """What looks at the unit while it trains.

        Weights are chosen by the fold's validation clips, or by those and its training clips; the test clips are only watched.
        """
        protocol, problem = self.tuning.protocol, self.problem
        probes: list[Probe] = []
        if protocol.select == "best_valid":
            with_train = protocol.select_on == "train_and_valid"
            clips = np.union1d(problem.train, problem.valid) if with_train else problem.valid
            probes.append(Selection(self._measure(clips), protocol.select_every or data.steps_per_epoch))
        if protocol.curve_every is not None:
            probes.append(Watch(self._measure(problem.fold.test), protocol.curve_every))
        return probes

    def _measure(self, clips: Rows) -> Callable[[Encoder, nn.Linear], float]:
        """The headline metric of ``clips`` by an encoder and a classifier."""
        return lambda encoder, head: self._merit(clips, self._probabilities(encoder, copy.deepcopy(head).cpu(), clips))

    def _merit(self, clips: Rows, of_slice: Floats) -> float:
        """The headline metric of ``clips``, given the class probabilities of their windows ``(S, C)``."""
        of_clip = self.windows.clip_probabilities(self.windows.of(clips), of_slice)
        return merit(self.tuning.material.metric, self.problem.labels[clips], of_clip)[0]

    def _probabilities(self, encoder: Encoder, head: nn.Linear, clips: Rows) -> Floats:
        """Class probabilities of the fixed windows of ``clips``, clip by clip, ``(S, C)``."""
        tuning, protocol = self.tuning, self.tuning.protocol
        rows = tuning.rows[clips]
        corpus = _only(tuning.corpus, rows, "it is not to be scored here")
        found = embed(encoder, corpus, rows, protocol.hop, tuning.device, protocol.short, remainder=protocol.remainder)
        return classifier_probabilities(head, torch.from_numpy(found.slices), tuning.material.kind)


class NoCurves:
    """A unit's scalars stay in its checkpoints: thousands of folders of curves would serve nobody."""

    def log(self, entry: Mapping[str, float]) -> None:
        """Keep nothing."""


def _fit_to(encoder: Encoder, data: TrainingData) -> None:
    """Input statistics and batch-norm of the training clips, as the Untrained reference has them of its own."""
    batches = [batch.waveforms[:, 0] for batch in data.calibration(CALIBRATION_CROPS, encoder.window)]
    if isinstance(encoder, LogMelEncoder):
        encoder.fit_input(torch.cat(batches))
    calibrate_batchnorm(encoder, batches)


def _only(corpus: Corpus, rows: Rows, reason: str) -> Corpus:
    mask = np.zeros(len(corpus), bool)
    mask[rows] = True
    return corpus.restricted(mask, reason)
