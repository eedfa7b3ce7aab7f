"""Evaluation of 22 tasks by one process against one process a task, and what four replicas of heads cost against one.

The tasks are copies of a small one on synthetic tones, so that starting Python and reading the encoder are as large a share as
they will ever be. Of replicas two costs are shown: of the heads alone, at three sizes, and of a whole evaluation of
one encoder, embedding included, which is what a user pays. Target of four replicas against one: at most 1.5 times.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import soundfile
import torch

from benchmark.artifacts import write_json
from benchmark.config import Machine, Protocol
from benchmark.corpus.prepare import prepare
from benchmark.corpus.store import Corpus
from benchmark.evaluation.heads import fit_heads, logits
from benchmark.evaluation.linear import TrainingSet
from benchmark.evaluation.stage import evaluate
from benchmark.jobs import CorpusRef, EvaluateJob, TaskRef
from benchmark.pretraining.export import build_encoder, export_part, write_part
from benchmark.records import Dataset, Task
from benchmark.seeding import isolated_torch_seed, numpy_stream
from benchmark.workspace import Workspace
from perf.measure import alternate, report

REPEATS = int(os.environ.get("PERF_REPEATS", "5"))
TASKS = 22
THREADS = 2
RATE = 16_000
CLIPS, SECONDS, FOLDS, CLASSES = 100, 1, 5, 10
REPLICAS = 4
STEPS = 200
SIZES = ((400, 128, 10), (2000, 128, 10), (2000, 512, 50))
"""Units, features, classes."""
NETWORK, NETWORK_CONFIG = "tagliasacchi_cnn", {"width": 0.25}
LINEAR = Protocol(head="converged", regularisers=(0.01, 1.0))


class Noise(Dataset):
    """Synthetic clips of classes in turn, in folds of all classes."""

    id = folder = "noise"
    title, homepage, licence, citation = "Noise", "none", "CC0", "none"
    labels: ClassVar[dict[str, tuple[str, ...]]] = {}
    expected_clips = CLIPS

    def read(self, folder: Path) -> pd.DataFrame:
        """The clips table."""
        names = [f"noise{number:03d}" for number in range(self.expected_clips)]
        kinds = [f"kind{number % CLASSES}" for number in range(self.expected_clips)]
        parts = [str(1 + number // CLASSES % FOLDS) for number in range(self.expected_clips)]
        paths = [f"{name}.wav" for name in names]
        return pd.DataFrame({"clip_id": names, "path": paths, "group": names, "fold": parts, "category": kinds})

    def write_standin(self, folder: Path, seed: int) -> None:
        """The audio of :meth:`read`'s table: brown noise."""
        for number, path in enumerate(self.read(folder)["path"]):
            noise = numpy_stream(seed, "perf", "noise", number).standard_normal(SECONDS * RATE).cumsum()
            soundfile.write(folder / path, 0.9 * noise / np.abs(noise).max(), RATE, subtype="PCM_16")


def project(folder: Path) -> Workspace:
    """A prepared corpus and one exported encoder with initial weights."""
    workspace, raw, dataset = Workspace(folder, "perf"), folder / "raw", Noise()
    raw.mkdir(parents=True)
    dataset.write_standin(raw, 0)
    prepare(dataset, raw, workspace.corpus("noise", RATE), RATE, 1, True, folder / "prepare-cache")
    with isolated_torch_seed(0, "perf", "encoder"):
        encoder = build_encoder(NETWORK, NETWORK_CONFIG).eval()
    part = export_part(encoder, NETWORK, NETWORK_CONFIG, part="all", fold=None, step=None, job="perf")
    file = write_part(workspace.run("run-0"), part).name
    listed = [{"part": "all", "file": file, "fold": None, "step": None, "weights": part.weights}]
    write_json(workspace.run("run-0") / "run.json", {"status": "ready", "reason": "", "parts": listed})
    return workspace


def job(workspace: Workspace, tasks: int, protocol: Protocol, first: int = 0) -> EvaluateJob:
    """The run on ``tasks`` tasks of the same clips and different names, whose heads are all trained."""
    corpus = Corpus.open(workspace.corpus("noise", RATE))
    classes = tuple(f"kind{number}" for number in range(CLASSES))
    ref = CorpusRef(dataset="noise", rate=RATE, fingerprint=corpus.fingerprint, standin=True)
    refs = []
    for number in range(first, first + tasks):
        task = Task(id=f"task{number}", title="", dataset="noise", label="category", fold_column="fold")
        refs.append(TaskRef(task=task.id, record={**asdict(task), "classes": classes}, corpus=ref))
    return EvaluateJob(
        study="perf",
        profile="perf",
        run="run",
        name="run-0",
        method="untrained",
        encoder=NETWORK,
        seed=0,
        machine=Machine(threads=THREADS),
        code="perf",
        versions={},
        pretrain_dataset="none",
        variant="default",
        transductive=False,
        tasks=tuple(refs),
        protocols={"protocol": protocol},
        snapshot_protocol="protocol",
    )


def in_new_processes(workspace: Workspace, jobs: list[EvaluateJob]) -> None:
    """Evaluate jobs one after another, each by a fresh interpreter; the cache is empty at the start."""
    shutil.rmtree(workspace.cache, ignore_errors=True)
    for each in jobs:
        words = [sys.executable, "-m", "perf.evaluation_grid", str(workspace.root)]
        subprocess.run(words, input=each.model_dump_json(), text=True, check=True)


def evaluate_here(root: Path, text: str) -> None:
    """What a process of :func:`in_new_processes` does."""
    from benchmark.config import validate

    evaluate(validate(EvaluateJob, json.loads(text), "standard input"), Workspace(root, "perf"))


def measure_processes(workspace: Workspace) -> dict[str, Any]:
    together = [job(workspace, TASKS, LINEAR)]
    apart = [job(workspace, 1, LINEAR, number) for number in range(TASKS)]
    in_new_processes(workspace, together)  # files are read once before anything is timed
    times = alternate(
        lambda: in_new_processes(workspace, apart),
        lambda: in_new_processes(workspace, together),
        min(REPEATS, 3),  # new processes: no warmth to gain, and each of the baseline's starts takes seconds
        warm=False,
    )
    return {"tasks": TASKS, "clips_a_task": CLIPS, "baseline": "one process a task", **times}


def measure_stage(workspace: Workspace) -> dict[str, Any]:
    """One encoder on one task under minibatch heads, embedding included; the ratio is four replicas over one."""

    def run(replicas: int) -> None:
        shutil.rmtree(workspace.cache, ignore_errors=True)
        evaluate(job(workspace, 1, Protocol(head="adam", steps=STEPS, batch_size=64, replicas=replicas)), workspace)

    return {"clips": CLIPS, "steps": STEPS, **alternate(lambda: run(REPLICAS), lambda: run(1), REPEATS)}


def measure_heads(units: int, width: int, classes: int) -> dict[str, Any]:
    """Heads alone, five folds; beside the times, how far a replica trained with others is from the same one alone."""
    stream = numpy_stream(0, "perf", "replicas")
    features = torch.from_numpy(stream.standard_normal((units, width), dtype=np.float32))
    labels = stream.integers(0, classes, units)
    folds = [np.flatnonzero(np.arange(units) % FOLDS != fold) for fold in range(FOLDS)]
    sets = [TrainingSet(rows, labels[rows]) for rows in folds]

    def fit(replicas: int) -> Any:
        grid = [(training, seed) for seed in range(replicas) for training in sets]
        chosen, seeds = zip(*grid, strict=True)
        options: dict[str, Any] = {"lr": 1e-3, "steps": STEPS, "batch_size": 64, "standardise": True}
        return logits(fit_heads(features, chosen, seeds, classes, **options), features)

    times = alternate(lambda: fit(REPLICAS), lambda: fit(1), REPEATS)
    difference = float((fit(REPLICAS)[: len(sets)] - fit(1)).abs().max())
    return {"units": units, "features": width, "classes": classes, **times, "largest_difference_of_logits": difference}


def main() -> None:
    torch.set_num_threads(THREADS)
    os.environ.pop("BENCHMARK_CACHE", None)
    with tempfile.TemporaryDirectory() as folder:
        workspace = project(Path(folder))
        processes, stage = measure_processes(workspace), measure_stage(workspace)
    heads = [measure_heads(*size) for size in SIZES]
    replicas = {"replicas": REPLICAS, "target_ratio": 1.5, "whole_stage": stage, "heads_alone": heads}
    report("evaluation_grid", {"processes": processes, "replicas": replicas})


if __name__ == "__main__":
    evaluate_here(Path(sys.argv[1]), sys.stdin.read()) if len(sys.argv) > 1 else main()
