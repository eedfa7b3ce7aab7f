"""A small workspace as the evaluation stages would have left it, with known accuracies."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.artifacts import write_json, write_text
from benchmark.columns import CURVE_COLUMNS, PREDICTION_COLUMNS, SCORE_COLUMNS
from benchmark.jobs import ReportJob, ReportRun
from benchmark.workspace import Workspace

PROFILE = "test"
STUDY = """
id: small
title: A small study
tasks: [esc10, us8k, fsdd_speaker]
notes: [Everything here is made up.]
protocols:
  linear: {head: converged, regularisers: [1.0]}
  scratch: {head: own, unit: slice}
  shuffled: {head: converged, regularisers: [1.0], shuffled_labels: true}
runs:
  statistics: {title: Log-mel statistics, method: fixed, encoder: stats, evaluate: &all [esc10, us8k, fsdd_speaker],
    protocols: [linear]}
  untrained: {title: Untrained, method: untrained, encoder: cnn, evaluate: *all, protocols: [linear, shuffled]}
  supervised: {title: Supervised, method: supervised, encoder: cnn, task: esc10, evaluate: [esc10],
    protocols: [scratch]}
  simclr: {title: "SimCLR & mix-back", method: simclr, encoder: cnn, evaluate: *all, protocols: [linear, shuffled],
    untrained: untrained, supervised: {esc10: supervised, us8k: supervised}}
  late: {title: Not here yet, method: simclr, encoder: cnn, evaluate: [esc10], protocols: [linear],
    untrained: untrained}
tables:
  accuracy:
    caption: Accuracy of a linear classifier
    rows: [statistics, untrained, simclr, late, supervised]
    tasks: [esc10, us8k, fsdd_speaker]
    protocol: {default: linear, supervised: scratch}
  normalised:
    caption: Normalised accuracy
    rows: [simclr]
    tasks: [esc10, us8k]
    protocol: linear
    value: normalised
"""
REASON = "dataset esc50 is absent"
_WRITTEN: dict[tuple[str, str, int], dict[str, bytes]] = {}
"""Files of the runs written so far."""


@dataclass
class Run:
    """A run family: probability of a correct answer by (task, protocol)."""

    method: str
    accuracies: dict[tuple[str, str], float]
    seeds: int = 1
    data: str = "none"
    untrained: str | None = None
    supervised: dict[str, str] = field(default_factory=dict)
    steps: int = 0
    reason: str = ""
    snapshots: tuple[int, ...] = ()
    title: str = ""
    transductive: bool = False
    curves: dict[tuple[str, str], dict[int, float]] = field(default_factory=dict)
    """Score by step of fine-tuning, by (task, protocol)."""


def default_runs() -> dict[str, Run]:
    """SimCLR clearly beats Untrained on two tasks; the speaker task is saturated; ``late`` could not be run."""
    tasks = ("esc10", "us8k", "fsdd_speaker")
    controls = {(task, "shuffled"): 0.1 for task in tasks}
    return {
        "statistics": Run(
            "fixed",
            dict(zip([(t, "linear") for t in tasks], [0.75, 0.55, 0.99], strict=True)),
            title="Log-mel statistics",
        ),
        "untrained": Run(
            "untrained",
            dict(zip([(t, "linear") for t in tasks], [0.6, 0.5, 0.96], strict=True)) | controls,
            seeds=3,
            data="urbansound8k",
            title="Untrained",
        ),
        "supervised": Run(
            "supervised", {("esc10", "scratch"): 0.95}, seeds=2, data="esc50", steps=400, title="Supervised"
        ),
        "simclr": Run(
            "simclr",
            dict(zip([(t, "linear") for t in tasks], [0.8, 0.7, 0.98], strict=True)) | controls,
            seeds=3,
            data="urbansound8k",
            untrained="untrained",
            supervised={"esc10": "supervised", "us8k": "supervised"},
            steps=850,
            snapshots=(0, 100),
            title="SimCLR & mix-back",
        ),
        "late": Run("simclr", {("esc10", "linear"): 0.0}, untrained="untrained", reason=REASON, title="Not here yet"),
    }


def write_workspace(
    root: Path, runs: dict[str, Run] | None = None, standin: bool = True, study: str = STUDY
) -> tuple[ReportJob, Workspace]:
    """Write study, evaluations and run records below ``root``; returns the job and the workspace to aggregate."""
    runs = default_runs() if runs is None else runs
    workspace = Workspace(root, PROFILE)
    write_text(root / "studies" / "small.yaml", study)
    for family, run in runs.items():
        for seed in range(run.seeds):
            _copy_run(workspace, family, run, seed)
    facts = {
        family: ReportRun(
            title=run.title or family,
            seeds=tuple(range(run.seeds)),
            names=tuple(f"{family}-{seed}" for seed in range(run.seeds)),
            untrained=run.untrained,
            supervised=run.supervised,
            transductive=run.transductive,
        )
        for family, run in runs.items()
    }
    job = ReportJob(
        profile=PROFILE, standin=standin, seed=0, bootstrap=200, studies=("small",), runs={"small": facts}, code="c0de"
    )
    return job, workspace


def _copy_run(workspace: Workspace, family: str, run: Run, seed: int) -> None:
    """As :func:`write_run`, which runs once for equal arguments; its files are kept as bytes."""
    key = (family, repr(run), seed)
    if key not in _WRITTEN:
        with tempfile.TemporaryDirectory() as folder:
            write_run(Workspace(Path(folder), PROFILE), family, run, seed)
            files = [path for path in Path(folder).rglob("*") if path.is_file()]
            _WRITTEN[key] = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    for name, content in _WRITTEN[key].items():
        (workspace.root / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.root / name).write_bytes(content)


def write_run(workspace: Workspace, family: str, run: Run, seed: int) -> None:
    """What the pre-training and evaluation stages of one run leave."""
    name = f"{family}-{seed}"
    scores, predictions = [], []
    for (task, protocol), accuracy in run.accuracies.items():
        clips = _test_clips(task)
        generator = np.random.default_rng([seed, *name.encode(), *task.encode(), *protocol.encode()])
        clips["prediction"] = np.where(
            generator.random(len(clips)) < accuracy, clips["label"], (clips["label"] + 1) % 10
        )
        clips = clips.assign(credit=(clips["label"] == clips["prediction"]).astype(float), mass=1.0)
        clips = clips.assign(name=name, variant="default", task=task, protocol=protocol, train_size="full", head_seed=0)
        predictions.append(clips[PREDICTION_COLUMNS])
        common = {
            "study": "small", "run": family, "name": name, "method": run.method, "encoder": "cnn",
            "pretrain_dataset": run.data, "task": task, "protocol": protocol, "train_size": "full", "split": "test",
            "pretrain_seed": seed, "head_seed": 0, "metric": "accuracy", "unit": "clip",
        }  # fmt: skip
        if run.reason:
            scores.append(common | {"variant": "default", "status": "not run", "reason": run.reason})
            continue
        for fold, rows in clips.groupby("fold"):
            value = float((rows["label"] == rows["prediction"]).mean())
            hashes = {"weights_hash": f"w{seed}", "data_hash": "d", "protocol_hash": "p", "code_hash": "c"}
            row = common | hashes | {"fold": fold, "n": len(rows), "status": "ok"}
            scores.append(row | {"variant": "default", "value": value})
            scores += [row | {"variant": f"step={step}", "value": value / 2} for step in run.snapshots]
    folder = workspace.evaluation(name)
    table = pd.DataFrame(scores, columns=SCORE_COLUMNS)
    write_text(folder / "scores.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "curves.csv", _curves(family, run, seed).to_csv(index=False, lineterminator="\n"))
    if not run.reason:
        pd.concat(predictions, ignore_index=True).to_parquet(folder / "predictions.parquet")
    write_json(folder / "diagnostics.json", _diagnostics(run))
    write_json(workspace.run(name) / "run.json", _record(run, seed))
    if run.steps:
        lines = [f"{step}\t{np.exp(-step / 300) + 0.1 * seed:.4f}" for step in range(0, run.steps, 10)]
        curve = workspace.curves(name) / "plots" / "metrics" / "loss.tsv"
        write_text(curve, "\n".join(["step\tloss", *lines]) + "\n")


def _curves(family: str, run: Run, seed: int) -> pd.DataFrame:
    """Points in two folds, a tenth below and above what is stated."""
    rows = [
        {
            "study": "small", "run": family, "name": f"{family}-{seed}", "variant": "default", "task": task,
            "protocol": protocol, "train_size": "full", "pretrain_seed": seed, "head_seed": 0, "fold": fold,
            "step": step, "metric": "accuracy", "value": value + away,
        }
        for (task, protocol), points in run.curves.items()
        for step, value in points.items()
        for fold, away in (("1", -0.1), ("2", 0.1))
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=CURVE_COLUMNS)


def _test_clips(task: str) -> pd.DataFrame:
    """60 clips of 30 sources, two a source, in two folds; the speaker task has six sources and one split."""
    index = np.arange(60)
    speaker = task == "fsdd_speaker"
    source = index // 10 if speaker else index // 2
    return pd.DataFrame({
        "clip_id": [f"clip{i:02d}" for i in index],
        "group": [f"source{s:02d}" for s in source],
        "fold": "official" if speaker else np.where(index < 40, "1", "2"),
        "label": (index % 10).astype(np.int64),
    })  # fmt: skip


def _diagnostics(run: Run) -> dict[str, Any]:
    return {} if run.reason else {"effective_rank": 12.5, "alignment": 0.4, "uniformity": -2.1, "silent_share": 0.0}


def _record(run: Run, seed: int) -> dict[str, Any]:
    return {
        "status": "not run" if run.reason else "ok",
        "reason": run.reason,
        "device": None if run.reason else "cpu",
        "versions": {"torch": "2.11.0"},
        "key": f"key{seed}",
        "seed": seed,
        "training": [] if run.reason else [_part_summary(run)],
        "parts": [] if run.reason else [{"part": "all", "file": "all.safetensors", "weights": f"w{seed}"}],
    }


def _part_summary(run: Run) -> dict[str, Any]:
    return {
        "part": "all",
        "steps": run.steps,
        "clips": [{"dataset": run.data, "clips": 120, "excluded": 20, "used": 100}] if run.steps else [],
        "parameters": {"encoder": 4_567_104, "method": 4_600_000},
    }
