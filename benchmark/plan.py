"""The plan: from ``params.yaml``, the studies and what is prepared, to one resolved JSON job a stage.

A stage depends on its own job and on its upstream outputs, so an edit reruns exactly what it can change. Free of torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmark import registry
from benchmark.artifacts import content_hash, hash_file, read_json, write_json
from benchmark.closure import code_hash
from benchmark.config import Params, Profile, Protocol, ProtocolScale, RunSpec, Scale, Study, Training, load_params
from benchmark.corpus.splits import missing_classes, official_classes
from benchmark.errors import ConfigError
from benchmark.jobs import CorpusRef, EvaluateJob, PretrainJob, ProbeJob, ReportJob, ReportRun, TaskRef
from benchmark.outside import OutsideModel, outside_models
from benchmark.provenance import versions
from benchmark.records import Dataset, Task
from benchmark.resolve import UNSTATED_CLASSES, Request, Resolved, resolve
from benchmark.statistics.claims.departures import scale_departures
from benchmark.studies import load_study
from benchmark.workspace import Workspace

FINE_TUNING = ["benchmark.evaluation.stage", "benchmark.evaluation.finetuning"]
RENDERERS = [
    "benchmark.reporting.report",
    "benchmark.reporting.figures",
    "benchmark.reporting.tables",
    "benchmark.reporting.published_tables",
]


@dataclass(frozen=True)
class Entry:
    """One run family of one study under the selected profile."""

    study: Study
    family: str
    spec: RunSpec
    seeds: tuple[int, ...]
    scale: Scale
    outside: OutsideModel | None = None
    """What a model from outside is; None of the study's own runs."""
    absent: str = ""
    """Why an outside model cannot be run here; known once a planner has looked for it."""

    def names(self) -> tuple[str, ...]:
        """Stage names, one a seed."""
        return tuple(f"{self.family}-{seed}" for seed in self.seeds)


def profile_of(params: Params, name: str) -> Profile:
    """The profile called ``name``.

    Raises:
        ConfigError: there is none; the message offers the nearest name.
    """
    if name not in params.profiles:
        raise ConfigError(f"Unknown profile {name!r}: {registry.nearest(name, list(params.profiles))}")
    return params.profiles[name]


def entries(root: Path, profile: Profile, where: str, only: Sequence[str] = ()) -> list[Entry]:
    """Every run family of the profile's studies, in order; with ``only``, of those studies alone.

    Raises:
        ConfigError: unknown study, run family or protocol, a family named by two studies, or a study in ``only`` that the
            profile does not have.
    """
    _check_names(where, "study", only, list(profile.studies))
    studies = [load_study(root, name) for name in profile.studies]
    families = [family for study in studies for family in study.runs]
    protocols = {named for study in studies for name in study.protocols for named in (name, f"{name}@{study.id}")}
    _check_names(where, "run", [*profile.seeds, *profile.runs, *profile.skip], [*families, "default"])
    _check_names(where, "protocol", profile.protocols, sorted(protocols))
    if twice := {family for family in families if families.count(family) > 1}:
        raise ConfigError(f"{where}: two studies name the run {sorted(twice)[0]!r}; rename one of them.")
    outside = outside_models(root)
    return [
        Entry(
            study,
            family,
            spec,
            (0,) if family in outside else _seeds(profile, family),
            _scale(profile, family),
            outside.get(family),
        )
        for study in studies
        for family, spec in study.runs.items()
        if family not in profile.skip and (profile.ablations or not spec.ablation) and (not only or study.id in only)
    ]


def active_stages(root: Path, params: Params, name: str, only: Sequence[str] = ()) -> dict[str, list[str]]:
    """What DVC's matrices need to know of a profile, or of some studies of it: its corpora, run names and studies.

    Raises:
        ConfigError: see :func:`entries`.
    """
    profile = profile_of(params, name)
    found = entries(root, profile, f"params.yaml: profiles.{name}", only)
    datasets = sorted({dataset for entry in found for dataset in _datasets(entry.spec)})
    return {
        "corpora": [f"{dataset}-{rate}" for dataset in datasets for rate in _rates(profile, found, dataset)],
        "runs": [run for entry in found for run in entry.names()],
        "studies": [study for study in profile.studies if not only or study in only],
        **({"only": [study for study in profile.studies if study in only]} if only else {}),
    }


def is_active(params: Params, name: str, stages: Mapping[str, list[str]]) -> bool:
    """Whether ``params.yaml`` selects the profile ``name`` with these :func:`active_stages`."""
    found = {key: list(value) for key, value in params.active.model_dump(exclude_defaults=True).items()}
    return params.profile == (name,) and found == stages


def check_active(root: Path, params: Params, name: str) -> None:
    """Refuse to run stages that no longer match the profile.

    Raises:
        ConfigError: ``active`` in params.yaml is not what the profile asks for.
    """
    only = params.active.only if params.profile == (name,) else ()
    if not is_active(params, name, active_stages(root, params, name, only)):
        raise ConfigError(
            f"params.yaml: `profile` and `active` do not match profiles.{name}; run `benchmark select {name}` first."
        )


class Planner:
    """Builds the jobs of one profile, or of some studies of it."""

    def __init__(self, workspace: Workspace, params: Params, only: Sequence[str] = ()) -> None:
        self.workspace = workspace
        self.params = params
        self.profile = profile_of(params, workspace.profile)
        where = f"params.yaml: profiles.{workspace.profile}"
        found = entries(workspace.root, self.profile, where, only)
        self.entries = [_identified(entry, workspace.root) for entry in found]
        self.studies = tuple(study for study in self.profile.studies if not only or study in only)
        self.resolved, self.tuned = self._resolve()
        self.versions = versions()

    def pretrain_jobs(self) -> Iterator[PretrainJob]:
        """One job a run and seed."""
        for entry in self.entries:
            spec, resolved = entry.spec, self.resolved[entry.family]
            sources = self._refs(_sources(spec), resolved.sample_rate)
            evaluated = {_task(task).dataset for task in spec.evaluate}
            missing = _missing(entry, sources)
            for seed, common in self._common(entry, "benchmark.pretraining.stage"):
                yield PretrainJob(
                    **common,
                    seed=self.params.seed + seed,
                    status="not run" if missing else "ready",
                    reason="; ".join(missing),
                    method_config=resolved.method_config,
                    encoder_config=resolved.encoder_config,
                    training=resolved.training,
                    sources=tuple(sources),
                    excluded=() if missing else self._excluded(spec, evaluated, resolved.sample_rate),
                    task=spec.task,
                    labels=spec.labels,
                    audio_of=spec.audio_of,
                    unseen=_unseen(spec),
                    probe=self._probe(entry, resolved.sample_rate),
                )

    def evaluate_jobs(self) -> Iterator[EvaluateJob]:
        """One job a run and seed."""
        for entry in self.entries:
            spec, rate = entry.spec, self.resolved[entry.family].sample_rate
            protocols = self._protocols(entry)
            self._check_heads(entry, protocols)
            code = {name: self._fine_tuning_code(entry, p) for name, p in protocols.items() if p.head == "fine_tune"}
            quick = [name for name in protocols if name not in code]
            missing = _missing(entry, self._refs(_sources(spec), rate))
            for seed, common in self._common(entry, "benchmark.evaluation.stage"):
                yield EvaluateJob(
                    **{**common, "method": spec.reported_as or spec.method},
                    seed=self.params.seed + seed,
                    status="not run" if missing else "ready",
                    reason="; ".join(missing),
                    pretrain_dataset=spec.audio_of or "+".join(_sources(spec)) or "none",
                    variant=spec.variant,
                    transductive=spec.transductive,
                    seen=tuple(self._refs(_sources(spec), rate)) if spec.transductive else (),
                    tasks=tuple(self._task_ref(task, rate) for task in spec.evaluate),
                    protocols=protocols,
                    snapshot_protocol=[*quick, *protocols][0],
                    fine_tuning_code=code,
                )

    def report_job(self) -> ReportJob:
        """The one job of aggregation, tables and report."""
        runs: dict[str, dict[str, ReportRun]] = {}
        for entry in self.entries:
            runs.setdefault(entry.study.id, {})[entry.family] = ReportRun(
                title=entry.spec.title,
                seeds=entry.seeds,
                names=entry.names(),
                untrained=entry.spec.untrained,
                supervised=entry.spec.supervised,
                transductive=entry.spec.transductive,
            )
        return ReportJob(
            profile=self.workspace.profile,
            standin=self.profile.data == "standin",
            seed=self.params.seed,
            bootstrap=self.profile.bootstrap,
            studies=self.studies,
            runs=runs,
            metrics={task: _task(task).metric for task in self._tasks() if _task(task).metric != "accuracy"},
            departures=tuple(scale_departures(self.profile)),
            code=self._reporting_code(["benchmark.statistics.aggregate"]),
        )

    def _tasks(self) -> list[str]:
        return sorted({task for entry in self.entries for task in entry.spec.evaluate})

    def write(self) -> None:
        """Write every job to ``build/<profile>/plan/``, and nothing else: a run that is no more leaves no job there."""
        jobs = dict(self._files())
        for path, job in jobs.items():
            write_json(path, job.model_dump(mode="json"))
        for path in (self.workspace.build / "plan").glob("*/*.json"):
            if path not in jobs:
                path.unlink()

    def _files(self) -> Iterator[tuple[Path, PretrainJob | EvaluateJob | ReportJob]]:
        for pretrain in self.pretrain_jobs():
            yield self.workspace.plan("pretrain", pretrain.name), pretrain
        for evaluate in self.evaluate_jobs():
            yield self.workspace.plan("evaluate", evaluate.name), evaluate
        report = self.report_job()
        yield self.workspace.plan("report", "aggregate"), report
        rendering = report.model_copy(update={"code": self._reporting_code(RENDERERS)})
        yield self.workspace.plan("report", "render"), rendering

    def _reporting_code(self, modules: list[str]) -> str:
        """Hash of code, page templates and the studies, which say what is shown and in which order."""
        templates = sorted((Path(__file__).parent / "reporting" / "templates").iterdir())
        studies = [entry.study.model_dump(mode="json") for entry in self.entries]
        return content_hash([code_hash(modules), [hash_file(file) for file in templates if file.is_file()], studies])

    def _resolve(self) -> tuple[dict[str, Resolved], dict[tuple[str, str], Resolved]]:
        """Settings of every run family, and of every protocol that fine-tunes it, all asked at once."""
        tuned = {
            (entry.family, name): (entry, protocol)
            for entry in self.entries
            for name, protocol in self._scaled(entry).items()
            if protocol.head == "fine_tune"
        }
        requests = [self._request(entry) for entry in self.entries]
        requests += [self._tuning_request(entry, name, protocol) for (_, name), (entry, protocol) in tuned.items()]
        answers = resolve(requests, self.workspace)
        of_runs = {entry.family: answer for entry, answer in zip(self.entries, answers, strict=False)}
        of_protocols = dict(zip(tuned, answers[len(self.entries) :], strict=True))
        for (family, name), (entry, protocol) in tuned.items():
            where = f"Run {family}, protocol {name}"
            check_fine_tuning(where, entry.spec.encoder, protocol, of_protocols[family, name])
        return of_runs, of_protocols

    def _tuning_request(self, entry: Entry, name: str, protocol: Protocol) -> Request:
        scale = self._protocol_scale(entry.study, name).model_dump(exclude_none=True)
        fields = Training.model_fields.keys()
        return self._request(entry).model_copy(
            update={
                "where": f"run {entry.family}: protocol {name}",
                "method": protocol.method,
                "method_config": protocol.method_config,
                "training": protocol.training,
                "scale": {key: value for key, value in scale.items() if key in fields},
                "freeze": protocol.freeze,
            }
        )

    def _request(self, entry: Entry) -> Request:
        spec, scale = entry.spec, entry.scale
        encoder_delta = _set(width=scale.width, depth=scale.depth)
        fields = Training.model_fields.keys()
        return Request(
            where=f"run {entry.family}",
            method=spec.method,
            encoder=spec.encoder,
            method_config=spec.method_config,
            encoder_config={**spec.encoder_config, **encoder_delta},
            training=spec.training,
            scale={key: value for key, value in scale.model_dump(exclude_none=True).items() if key in fields},
            classes=class_count(spec.task or spec.labels),
        )

    def _common(self, entry: Entry, stage: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """The fields that all jobs of a run family share, seed by seed."""
        spec = entry.spec
        modules = [registry.find("method", spec.method).module, registry.find("encoder", spec.encoder).module]
        named = [spec.task, spec.labels, spec.audio_of, *([spec.probe.task] if spec.probe else [])]
        modules += [registry.find("task", task).module for task in dict.fromkeys(filter(None, named))]
        if spec.probe:
            modules.append("benchmark.evaluation.probe")
        code = code_hash([stage, *modules])
        for seed, name in zip(entry.seeds, entry.names(), strict=True):
            yield (
                seed,
                {
                    "study": entry.study.id,
                    "profile": self.workspace.profile,
                    "run": entry.family,
                    "name": name,
                    "method": spec.method,
                    "encoder": spec.encoder,
                    "machine": self.params.machine_of(self.workspace.profile),
                    "code": code,
                    "versions": self.versions,
                },
            )

    def _refs(self, datasets: tuple[str, ...], rate: int) -> list[CorpusRef]:
        return [self._ref(dataset, rate) for dataset in datasets]

    def _ref(self, dataset: str, rate: int) -> CorpusRef:
        if rate not in _rates(self.profile, self.entries, dataset):
            raise ConfigError(
                f"params.yaml: profiles.{self.workspace.profile}.rates lacks {rate} Hz, "
                f"which a run on {dataset} asks for; add it."
            )
        manifest = self.manifest(dataset, rate)
        return CorpusRef(
            dataset=dataset,
            rate=rate,
            fingerprint=manifest.get("fingerprint", ""),
            standin=manifest.get("standin", False),
            absent=manifest["reason"] if manifest["status"] == "absent" else "",
        )

    def manifest(self, dataset: str, rate: int) -> Mapping[str, Any]:
        """A prepared corpus's manifest; one that says `absent` where there is none."""
        file = self.workspace.manifest(dataset, rate)
        return read_json(file) if file.exists() else {"status": "absent", "reason": f"{dataset} has not been prepared"}

    def _excluded(self, spec: RunSpec, evaluated: set[str], rate: int) -> tuple[CorpusRef, ...]:
        if spec.audio_of:
            evaluated = evaluated - {_task(spec.audio_of).dataset}
        elif spec.task or spec.transductive or not _sources(spec):
            return ()
        if both := sorted(evaluated & set(_sources(spec))):
            raise ConfigError(
                f"A run pre-trains on {both[0]} and is evaluated on it; drop one, or flag the run `transductive: true`."
            )
        return tuple(ref for ref in self._refs(tuple(sorted(evaluated)), rate) if not ref.absent)

    def _probe(self, entry: Entry, rate: int) -> ProbeJob | None:
        probe = entry.spec.probe
        if probe is None:
            return None
        protocol = self._scaled_one(entry.study, probe.protocol)
        if protocol.head != "intra_knn":
            raise ConfigError(f"Run {entry.family}: a probe's protocol has the head intra_knn, not {protocol.head}.")
        ref = self._task_ref(probe.task, rate)
        return ProbeJob(task=ref, protocol=protocol, every=probe.every, last=probe.last, select=probe.select)

    def _task_ref(self, name: str, rate: int) -> TaskRef:
        task = _task(name)
        corpus = self._ref(task.dataset, rate)
        dataset: Dataset = registry.load("dataset", task.dataset)
        classes = official_classes(task, dataset)
        present = self.manifest(task.dataset, rate).get("classes", {}).get(task.label, classes)
        absent = [] if corpus.absent else missing_classes(task, dataset, present, corpus.standin)
        return TaskRef(
            task=name,
            record={**asdict(task), "classes": classes},
            corpus=corpus,
            missing=f"the data lacks {len(absent)} of {len(classes)} classes, {absent[0]!r} for one" if absent else "",
        )

    def _check_heads(self, entry: Entry, protocols: Mapping[str, Protocol]) -> None:
        if entry.spec.task and entry.spec.evaluate != (entry.spec.task,):
            raise ConfigError(
                f"Run {entry.family} is trained once a fold of {entry.spec.task}; it can be evaluated on that task only."
            )
        own = [name for name, protocol in protocols.items() if protocol.head == "own"]
        if own and entry.spec.labels:
            raise ConfigError(
                f"Run {entry.family}: protocol {own[0]} scores the classifier trained with the encoder, which is one of "
                f"{entry.spec.labels}; drop the protocol."
            )
        if own and not self.resolved[entry.family].needs_labels:
            raise ConfigError(
                f"Run {entry.family}: protocol {own[0]} scores the classifier trained with the encoder, and {entry.spec.method} "
                "trains none; drop the protocol."
            )

    def _protocol_scale(self, study: Study, name: str) -> ProtocolScale:
        """What the profile changes of a protocol: of this study's (``linear@study``), else of all that have the name."""
        scales = self.profile.protocols
        return scales.get(f"{name}@{study.id}", scales.get(name, ProtocolScale()))

    def _scaled_one(self, study: Study, name: str) -> Protocol:
        """A protocol under the profile's scale, which of a fine-tuning one says only what is no training."""
        protocol = study.protocols[name]
        changes = self._protocol_scale(study, name).model_dump(exclude_none=True)
        tuned = protocol.head == "fine_tune"
        unread = Training.model_fields.keys() if tuned else {"epochs", "precision", "select_every", "curve_every"}
        return protocol.model_copy(update={k: v for k, v in changes.items() if k not in unread})

    def _scaled(self, entry: Entry) -> dict[str, Protocol]:
        """The run's protocols under the profile's scale."""
        return {name: self._scaled_one(entry.study, name) for name in entry.spec.protocols}

    def _protocols(self, entry: Entry) -> dict[str, Protocol]:
        """The run's protocols, complete."""
        complete = {}
        for name, protocol in self._scaled(entry).items():
            answer = self.tuned.get((entry.family, name))
            settings = answer and {
                "method_config": answer.method_config,
                "training": answer.training.model_dump(mode="json"),
            }
            complete[name] = protocol.model_copy(update=settings or {})
        return complete

    def _fine_tuning_code(self, entry: Entry, protocol: Protocol) -> str:
        plugins = registry.find("method", protocol.method), registry.find("encoder", entry.spec.encoder)
        return code_hash([*FINE_TUNING, *(plugin.module for plugin in plugins)])


def check_fine_tuning(where: str, encoder: str, protocol: Protocol, settings: Resolved) -> None:
    """Refuse before anything is trained what cannot be fine-tuned.

    Raises:
        ConfigError: the encoder has nothing to train or sees whole clips, or the method or its training does not fit.
    """
    training = settings.training
    if settings.scope == "clip" or not settings.parameters:
        why = "sees whole clips" if settings.scope == "clip" else "has no parameters"
        raise ConfigError(f"{where}: encoder {encoder} {why}, so that it cannot be fine-tuned; drop the protocol.")
    if not settings.needs_labels:
        raise ConfigError(f"{where}: method {protocol.method} does not learn a task's labels; name one that does.")
    if not (training.steps or training.epochs):
        raise ConfigError(f"{where}: training has no length; set training.steps or training.epochs.")
    if protocol.curve_every is not None and training.epochs:
        raise ConfigError(
            f"{where}: curve_every averages folds by the step, and an epoch has more steps in one than in another; "
            "state the length of training in steps, or drop it."
        )
    if training.snapshots:
        raise ConfigError(f"{where}: fine-tuned encoders are not kept, so that there are no snapshots; drop them.")


def _missing(entry: Entry, sources: list[CorpusRef]) -> list[str]:
    """Why a run cannot be done; empty where it can."""
    return [reason for reason in (entry.absent, *(ref.absent for ref in sources)) if reason]


def _sources(spec: RunSpec) -> tuple[str, ...]:
    named = spec.task or spec.labels or spec.audio_of
    return spec.data or ((_task(named).dataset,) if named else ())


def _unseen(spec: RunSpec) -> tuple[str, ...]:
    """The tasks of the dataset whose training audio is heard that the run is evaluated on."""
    if spec.audio_of is None:
        return ()
    return tuple(task for task in spec.evaluate if _task(task).dataset == _task(spec.audio_of).dataset)


def _datasets(spec: RunSpec) -> set[str]:
    return {*_sources(spec), *(_task(task).dataset for task in spec.evaluate)}


def _rates(profile: Profile, found: list[Entry], dataset: str) -> tuple[int, ...]:
    """Sample rates in Hz of a dataset: the profile's, then those of outside models that are scored on it."""
    own = profile.rates_of(dataset)
    asked = {e.outside.sample_rate for e in found if e.outside is not None and dataset in _datasets(e.spec)}
    return (*own, *sorted(asked - set(own)))


def _identified(entry: Entry, root: Path) -> Entry:
    """An outside model's entry with the hashes of its code and weights; the studies' own runs as they are."""
    if entry.outside is None:
        return entry
    spec, absent = entry.outside.identified(root)
    return replace(entry, spec=spec, absent=absent)


def class_count(labelled: str | None) -> int:
    """Classes of the classifier that is trained with the labels of a task, as its record states them."""
    if labelled is None:
        return UNSTATED_CLASSES
    task = _task(labelled)
    return len(official_classes(task, registry.load("dataset", task.dataset))) or UNSTATED_CLASSES


def _task(name: str) -> Task:
    task: Task = registry.load("task", name)
    return task


def _seeds(profile: Profile, family: str) -> tuple[int, ...]:
    return tuple(range(profile.seeds.get(family, profile.seeds.get("default", 1))))


def _scale(profile: Profile, family: str) -> Scale:
    layers = [profile.runs[key].model_dump(exclude_none=True) for key in ("default", family) if key in profile.runs]
    return Scale(**{key: value for layer in layers for key, value in layer.items()})


def _set(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _check_names(where: str, kind: str, names: Any, known: list[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: unknown {kind} {name!r}: {registry.nearest(name, known)}")


def make_plan(workspace: Workspace) -> Planner:
    """The planner of the selected profile, after checking that the pipeline's stages match it."""
    params = load_params(workspace.root)
    check_active(workspace.root, params, workspace.profile)
    return Planner(workspace, params, params.active.only)
