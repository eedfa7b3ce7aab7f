"""A probe scores a method in training as its exported encoder will be scored."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.config import Protocol, validate
from benchmark.corpus.splits import folds
from benchmark.corpus.store import Corpus
from benchmark.errors import DataError
from benchmark.evaluation.embedding import embed
from benchmark.evaluation.probe import IntraSetScore
from benchmark.evaluation.protocols import Material, run_protocol
from benchmark.evaluation.scoring import prediction_metrics
from benchmark.jobs import CorpusRef, ProbeJob, TaskRef
from benchmark.pretraining.export import build_encoder
from benchmark.records import Task
from benchmark.signal.projection import Projected
from benchmark.workspace import Workspace
from methods.simclr import Simclr, SimclrConfig
from tests.pretraining.toys import RATE, tone, toy_clips, write_corpus

TASK = Task(id="toy", title="Toy", dataset="toy", label="category", fold_column="fold", metric="class_mean_accuracy")
CLASSES = ("dog", "rain")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Tones of two classes of unequal size, in two folds."""
    workspace = Workspace(tmp_path_factory.mktemp("project"), "test")
    kinds = [CLASSES[n % 3 == 0] for n in range(24)]
    clips = toy_clips(24).assign(fold=[str(1 + n // 6 % 2) for n in range(24)], category=kinds)
    audio = [tone(250 + 20 * n if kind == "dog" else 2000, 4000, n) for n, kind in enumerate(kinds)]
    write_corpus(workspace.corpus("toy", RATE), "toy", clips, audio)
    return workspace


def job(workspace: Workspace, **changes: Any) -> ProbeJob:
    corpus = Corpus.open(workspace.corpus("toy", RATE))
    ref = CorpusRef(dataset="toy", rate=RATE, fingerprint=corpus.fingerprint, standin=True)
    task = TaskRef(task="toy", record={**asdict(TASK), "classes": CLASSES}, corpus=ref, **changes)
    protocol = Protocol(head="intra_knn", feature="z", neighbours=(3,), hop=0.05, remainder="drop")
    return ProbeJob(task=task, protocol=protocol, every=1, last=2, select=True)


def test_it_measures_what_the_protocol_will_score(workspace: Workspace) -> None:
    torch.manual_seed(0)
    encoder = build_encoder("tagliasacchi_cnn", {"width": 0.0625, "frames": 16})
    method = Simclr(validate(SimclrConfig, {"hidden": 8, "projection": 4}, "test"), encoder).eval()
    asked = job(workspace)
    score, predictions = IntraSetScore(asked, workspace)(method)

    corpus, rows, settings = Corpus.open(workspace.corpus("toy", RATE)), np.arange(24), asked.protocol
    found = embed(Projected(encoder, method.projector), corpus, rows, settings.hop, remainder="drop")
    labels = np.array([CLASSES.index(kind) for kind in corpus.clips["category"]])
    material = Material(found, labels, 2, tuple(folds(TASK, corpus.clips, 0)), "toy", None)
    [outcome] = run_protocol(settings, material, 0)
    np.testing.assert_array_equal(predictions, outcome.predictions)
    assert score == prediction_metrics(labels, predictions)["class_mean_accuracy"]
    assert not any(module.training for module in method.modules()), "and it leaves the method as it was"


def test_a_probe_without_data_is_one_sentence(workspace: Workspace) -> None:
    with pytest.raises(DataError, match="The probe on toy has no data: two classes are missing; fetch it or drop"):
        IntraSetScore(job(workspace, missing="two classes are missing"), workspace)
