"""The pre-training stage: from a job to exported encoders, curves and ``run.json``.

Finished parts, snapshots and checkpoints lie in the workspace's cache, keyed by the job, because DVC deletes a stage's
outputs before it runs. A killed stage that runs again goes on where it was and writes the same bytes.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark import registry
from benchmark.artifacts import Arrays, Cache, hash_arrays, write_arrays, write_json
from benchmark.config import validate
from benchmark.distributed import decided, joined, largest
from benchmark.errors import ConfigError, StaleArtifactError
from benchmark.jobs import PretrainJob
from benchmark.launch import is_main
from benchmark.pretraining.checkpoint import Checkpoints, History, TrainingState, to_numpy
from benchmark.pretraining.curves import Curves
from benchmark.pretraining.data import TrainingData
from benchmark.pretraining.device import deterministic_torch
from benchmark.pretraining.export import Part, build_encoder, export_part, probe_file, write_part
from benchmark.pretraining.loop import Probe, Throughput, Trainer
from benchmark.pretraining.method import Batch, Method
from benchmark.pretraining.parallel import synchronise_batchnorm
from benchmark.pretraining.parts import PartPlan, plan_parts
from benchmark.pretraining.probing import NAME as MEASUREMENT
from benchmark.pretraining.probing import Measure, Predictions, Probing, best
from benchmark.pretraining.schedule import build_optimizer
from benchmark.pretraining.validation import NAME as VALIDATION
from benchmark.seeding import isolated_torch_seed
from benchmark.signal.calibration import calibrate_batchnorm
from benchmark.signal.encoder import Encoder, LogMelEncoder
from benchmark.workspace import Workspace

CALIBRATION_CROPS = 512
"""Training crops to which input statistics and batch-norm are fitted."""


def pretrain(
    job: PretrainJob, workspace: Workspace, probes: Sequence[Probe] = (), measure: Measure | None = None
) -> None:
    """Train, or only export, every part of a run into ``workspace.run(job.name)``.

    Args:
        job: of the plan.
        workspace: where everything lies.
        probes: measurements that join the curves.
        measure: what the job's probe measures.

    Raises:
        BenchmarkError: see :func:`.parts.plan_parts` and :meth:`.loop.Trainer.fit`.
    """
    folder, curves = workspace.run(job.name), workspace.curves(job.name)
    if is_main():
        for output in (folder, curves):
            shutil.rmtree(output, ignore_errors=True)
            output.mkdir(parents=True)
    if job.status == "not run":
        if is_main():
            write_json(folder / "run.json", {**_provenance(job), "device": None, "parts": [], "training": []})
        return
    cache = Cache(workspace.cache)
    lock = cache.lock("pretrain", job.key) if is_main() else nullcontext()
    with deterministic_torch(job.machine) as device, joined(job.machine, device), lock:
        runs = [_PartRun(job, plan, cache, curves, device, probes, measure) for plan in plan_parts(job, workspace)]
        outcomes = [run.outcome() for run in runs]
    if not is_main():
        return
    parts = [part for outcome in outcomes for part in outcome.parts]
    for part in parts:
        write_part(folder, part)
    for outcome in outcomes:
        if outcome.probed:
            write_arrays(folder / probe_file(outcome.parts[0].part), *outcome.probed)
    for outcome in outcomes:
        drawn = curves / outcome.parts[0].part
        if outcome.history and not drawn.exists():  # trained by an earlier process
            Curves(drawn, outcome.history)
    write_json(workspace.throughput(job.name), {outcome.parts[0].part: outcome.timing for outcome in outcomes})
    results = {"device": _device_name(device), "parts": [_listed(part) for part in parts]}
    write_json(folder / "run.json", {**_provenance(job), **results, "training": [o.summary for o in outcomes]})


def _provenance(job: PretrainJob) -> dict[str, Any]:
    """The job, but for its corpora, which the parts name; its training settings as ``settings``."""
    record = job.model_dump(mode="json", exclude={"sources", "excluded"})
    return {**record, "key": job.key, "settings": record["training"]}


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _listed(part: Part) -> dict[str, Any]:
    named = {"part": part.part, "file": f"{part.part}.safetensors"}
    return {**named, "fold": part.fold, "step": part.step, "weights": part.weights}


@dataclass(frozen=True)
class _Outcome:
    """What a part leaves: the finished encoder first, then its snapshots."""

    parts: list[Part]
    history: History
    summary: dict[str, Any]
    timing: dict[str, float]
    probed: tuple[Arrays, dict[str, Any]] | None = None
    """Steps ``(E,)`` and predictions ``(E, n)`` of the last measurements, and of what."""


class _PartRun:
    """Trains one part, or takes it from the cache where an earlier process finished it."""

    def __init__(
        self,
        job: PretrainJob,
        plan: PartPlan,
        cache: Cache,
        curves: Path,
        device: torch.device,
        probes: Sequence[Probe],
        measure: Measure | None = None,
    ) -> None:
        self.job, self.plan, self.cache, self.device = job, plan, cache, device
        self.curves = curves / plan.name
        self.probes: tuple[Probe, ...] = (*plan.probes, *probes)
        self.measure = measure
        self.key = f"{job.key}-{plan.name}"
        self.name = f"{job.name}/{plan.name}"

    def outcome(self) -> _Outcome:
        """The finished part; of several ranks the first decides whether there is one, and writes it."""
        finished = self._finished()
        if decided(finished is None):
            self._train()
            largest(0)  # until it is written
            finished = self._finished()
        assert finished is not None
        return finished

    def _finished(self) -> _Outcome | None:
        """What the cache holds; None unless it is complete."""
        cached = self.cache.get("parts", self.key)
        if cached is None:
            return None
        record = cached[1]
        snapshots = [self.cache.get("snapshots", f"{self.key}-{step}") for step in record["snapshots"]]
        found = [snapshot for snapshot in snapshots if snapshot is not None]
        if len(found) < len(snapshots):
            return None
        parts = [Part(arrays, **held["part"]) for arrays, held in [cached, *found]]
        probed = self.cache.get("probed", self.key) if record["probed"] else None
        if record["probed"] and probed is None:
            return None
        return _Outcome(parts, record["history"], record["summary"], record["timing"], probed)

    def _train(self) -> None:
        method, data = self._build()
        calibration = self._fit_input(method.encoder, data)
        initial = hash_arrays({name: to_numpy(value) for name, value in method.encoder.named_parameters()})
        steps = self._steps(data)
        history, throughput = self._fit(method, data, steps, calibration) if data and steps else ([], Throughput())
        with torch.no_grad():
            method.finish(calibration)
        if not is_main():
            return
        part = self._selected() or self._exported(method.exported()["encoder"], None, method)
        summary = {
            "part": self.plan.name,
            "fold": self.plan.fold,
            "steps": steps,
            "clips": self._coverage(data),
            "short_clips": data.short_clips() if data else 0,
            "too_short_clips": data.too_short() if data else 0,
            "clips_a_step": data.batch_sizes if data else [],
            "clips_seen": sum(data.batch_size(step) for step in range(steps)) if data else 0,
            "epochs": steps / data.steps_per_epoch if data else 0.0,
            "parameters": {"encoder": _parameters(method.encoder), "method": _parameters(method)},
            "initial_parameters": initial,
            "weights": part.weights,
            "final": history[-1] if history else {},
            "selected": self._choice(history),
            "validation": [{"step": e["step"], "accuracy": e[VALIDATION]} for e in history if VALIDATION in e],
        }
        record = {
            "part": part.record,
            "snapshots": [step for step in self._snapshots(steps) if history and step <= steps],
            "probed": self._keep_probed(history, steps),
            "history": history,
            "summary": summary,
            "timing": asdict(throughput),
        }
        self.cache.put("parts", self.key, part.arrays, record)
        self._checkpoints().clear()

    def _build(self) -> tuple[Method, TrainingData | None]:
        """A fresh method and what it reads. The encoder's weights depend on the seed and the encoder alone."""
        job = self.job
        cls: type[Method] = registry.load("method", job.method)
        config = validate(cls.Config, job.method_config, f"method {job.method}")
        with isolated_torch_seed(job.seed, "encoder", job.encoder):
            encoder = build_encoder(job.encoder, job.encoder_config)
        with isolated_torch_seed(job.seed, "method", job.method):
            method = cls(config, encoder, self.plan.n_classes).to(self.device)
        if not self.plan.sources:
            return method, None
        data = TrainingData(
            self.plan.sources,
            method.crops(),
            job.training.batch_size,
            seed=job.seed,
            run=self.name,
            device=self.device,
            max_clips=job.training.max_clips,
        )
        return method, data

    def _fit_input(self, encoder: Encoder, data: TrainingData | None) -> list[Batch]:
        """Fit the encoder's input statistics; returns the crops they were fitted to."""
        if data is None or encoder.window == 0:
            return []
        batches = data.calibration(CALIBRATION_CROPS, encoder.window)
        if isinstance(encoder, LogMelEncoder):
            encoder.fit_input(torch.cat([batch.waveforms[:, 0] for batch in batches]))
        return batches

    def _steps(self, data: TrainingData | None) -> int:
        training = self.job.training
        if training.steps == 0:
            return 0
        if data is None:
            raise ConfigError(f"Run {self.job.run}: {self.job.method} has nothing to train on; set `data` or `task`.")
        if training.steps is None and training.epochs is None:
            raise ConfigError(f"Run {self.job.run}: training has no length; set training.steps or training.epochs.")
        return training.steps or (training.epochs or 0) * data.steps_per_epoch

    def _fit(
        self, method: Method, data: TrainingData, steps: int, calibration: list[Batch]
    ) -> tuple[History, Throughput]:
        def snapshot(step: int, method: Method) -> None:
            encoder = method.exported()["encoder"]
            if step == 0:  # untrained batch-norm has seen nothing; calibrated as the Untrained reference is
                encoder = copy.deepcopy(encoder)
                calibrate_batchnorm(encoder, [batch.waveforms[:, 0] for batch in calibration])
            part = self._exported(encoder, step, method)
            if is_main():
                self.cache.put("snapshots", f"{self.key}-{step}", part.arrays, {"part": part.record})

        synchronise_batchnorm(method)
        state = TrainingState(method, build_optimizer(self.job.training, method), [])
        checkpoints = self._checkpoints()
        checkpoints.restore(state)
        if largest(state.step) != -largest(-state.step):
            raise StaleArtifactError(
                f"{self.name}: the ranks see different checkpoints; put BENCHMARK_CACHE on a file system that all of them share."
            )
        curves = Curves(self.curves, state.history)
        training = self.job.training.model_copy(update={"snapshots": self._snapshots(steps)})
        probes = (*self.probes, *self._probing(state.history, data.steps_per_epoch, steps))
        trainer = Trainer(self.name, self.job.seed, data, training, steps, checkpoints, curves, probes, snapshot)
        trainer.fit(state)
        return state.history, trainer.throughput

    def _snapshots(self, steps: int) -> tuple[int, ...]:
        """Where the encoder is selected by a probe, the last one is a snapshot."""
        last = [steps] if self.job.probe and self.job.probe.select else []
        return tuple(sorted({*self.job.training.snapshots, *last}))

    def _probing(self, history: History, steps_per_epoch: int, steps: int) -> list[Probing]:
        probe = self.job.probe
        if probe is None or self.measure is None:
            return []

        def keep_predictions(step: int, predictions: Predictions) -> None:
            if is_main() and step in probing.last(steps):
                self.cache.put("probes", f"{self.key}-{step}", {"predictions": predictions})

        def keep_best(step: int, method: Method) -> None:
            if is_main():
                part = self._exported(method.exported()["encoder"], None, method)
                self.cache.put("selected", self.key, part.arrays, {"part": part.record, "step": step})

        every = probe.every or steps_per_epoch
        probing = Probing(probe, self.measure, every, history, keep_predictions, keep_best)
        return [probing]

    def _selected(self) -> Part | None:
        """The encoder of the best measurement; None where nothing was to be selected or measured."""
        probe = self.job.probe
        held = self.cache.get("selected", self.key) if probe and probe.select and self.measure else None
        return Part(held[0], **held[1]["part"]) if held else None

    def _choice(self, history: History) -> dict[str, Any] | None:
        step, score = best(history)
        chosen = bool(self.job.probe and self.job.probe.select and step)
        return {"step": step, "score": score} if chosen else None

    def _keep_probed(self, history: History, steps: int) -> bool:
        """Put the last measurements' predictions together; False where there were none."""
        probe = self.job.probe
        measured = [int(entry["step"]) for entry in history if MEASUREMENT in entry][-probe.last :] if probe else []
        if probe is None or not measured:
            return False
        held = [self.cache.get("probes", f"{self.key}-{step}") for step in measured]
        predictions = np.stack([entry[0]["predictions"] for entry in held if entry is not None])
        arrays = {"steps": np.array(measured, np.int64), "predictions": predictions}
        self.cache.put("probed", self.key, arrays, probe.model_dump(mode="json"))
        return True

    def _checkpoints(self) -> Checkpoints:
        return Checkpoints(self.cache.root / "checkpoints" / self.key, self.key)

    def _exported(self, encoder: Encoder, step: int | None, method: Method | None = None) -> Part:
        suffix = "" if step is None else f"-step{step}"
        return export_part(
            encoder,
            self.job.encoder,
            self.job.encoder_config,
            part=self.plan.name + suffix,
            fold=self.plan.fold,
            step=step,
            job=self.job.key,
            head=method.head() if method and step is None else None,
            projection=method.projection() if method else None,
        )

    def _coverage(self, data: TrainingData | None) -> list[dict[str, Any]]:
        """The plan's counts by corpus, with how many clips are in use after ``max_clips``."""
        used = {source.corpus.dataset: len(source.rows) for source in data.sources} if data else {}
        return [{**counts, "used": used.get(counts["dataset"], 0)} for counts in self.plan.clips]


def _parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
