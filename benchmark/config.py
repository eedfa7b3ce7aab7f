"""Validated configuration: what `params.yaml` and the studies' data files may say.

Nothing here imports torch. Unknown keys, wrong types and values out of range are refused with one sentence.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmark.errors import ConfigError

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
Precision = Literal["float32", "tf32", "bf16"]
"""``float32`` everywhere; ``tf32``, where a GPU's convolutions and products round what they read to 10 bits; bf16 autocast."""
TrainSize = Count | Annotated[str, Field(pattern=r"^(full|[1-9][0-9]*-total)$")]
"""``full``; so many training clips a class (``1000``); or so many of all classes together (``1000-total``)."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader; in C where the library has it, ten times faster."""


class Config(BaseModel):
    """Base of every configuration: immutable, strict about types, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class EncoderConfig(Config):
    """Base of an encoder's configuration. ``width`` scales the channel counts of the published network."""

    width: Positive = Field(1.0, description="factor on the published channel counts")


class MethodConfig(Config):
    """Base of a method's configuration."""


class Training(Config):
    """How a method is optimised; a method's module states its published values as its own defaults."""

    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    lr: Positive = 1e-3
    momentum: Fraction = 0.9
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    steps: Annotated[int, Field(ge=0)] | None = None
    epochs: Count | None = None
    batch_size: Count = 128
    schedule: Literal["constant", "cosine", "multistep"] = "constant"
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    milestones: tuple[Fraction, ...] = Field((), description="fractions of the run at which lr is multiplied by gamma")
    gamma: Fraction = 0.1
    clip_norm: Positive | None = None
    precision: Precision = "float32"
    max_clips: Count | None = Field(None, description="use at most so many training clips (a seeded subset)")
    checkpoint_every: Count = 200
    log_every: Count = 10
    snapshots: tuple[Annotated[int, Field(ge=0)], ...] = Field((), description="steps whose encoder is exported too")

    @model_validator(mode="after")
    def _one_length(self) -> Training:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("set steps or epochs, not both")
        return self


class Protocol(Config):
    """How a run is scored on a task. Named and versioned in a study's data file, e.g. ``linear@transfer``."""

    version: Count = 1
    head: Literal["converged", "adam", "knn", "intra_knn", "own", "fine_tune"] = Field(
        description="converged: convex solver to its optimum; adam: minibatch training as published; "
        "knn: cosine vote; intra_knn: a vote of each test clip's slices among those of the other test clips; "
        "own: the classifier trained together with the encoder; "
        "fine_tune: a copy of the encoder and a new classifier, trained on each fold's training clips"
    )
    unit: Literal["clip", "slice"] = Field(
        "clip", description="what the head sees: the mean embedding of a clip, or each slice"
    )
    feature: Literal["h", "z"] = Field(
        "h", description="the encoder's embedding, or its projection of unit length (h where a run has no projection)"
    )
    tasks: tuple[str, ...] = Field((), description="the tasks it is for; empty: all that a run is evaluated on")
    hop: Positive = Field(0.4875, description="seconds between the fixed evaluation windows")
    remainder: Literal["keep", "drop"] = Field(
        "keep", description="whether a last window, which ends with the clip, covers what would go unseen"
    )
    short: Literal["pad", "tile"] = Field("tile", description="what a clip shorter than a window becomes")
    train_sizes: tuple[TrainSize, ...] = Field(
        ("full",), description="training clips a class, or in total (`1000-total`); nested subsets"
    )
    short_classes: Literal["refuse", "whole"] = Field(
        "refuse", description="a class with fewer clips than a train size: no score and why, or all of its clips"
    )
    replicas: Count = Field(1, description="head seeds, or subsets where train_sizes are smaller than full")
    standardise: bool = Field(True, description="z-score features with the training part's statistics")
    regularisers: tuple[Positive, ...] = Field((), description="converged: C grid, chosen on validation")
    lr: Positive = 1e-4
    steps: Count = 100_000
    batch_size: Count = 256
    neighbours: tuple[Count, ...] = Field((), description="knn: k grid, chosen on validation")
    shuffled_labels: bool = Field(False, description="control: permute the training labels; must score at chance")
    variant: str = Field("", description="added to the variant that scores under it carry")
    details: bool = Field(
        False, description="also score single classes, fold by fold: precision, recall, F1, confusions"
    )
    method: str = Field("supervised", description="fine_tune: the method that trains encoder and classifier")
    method_config: dict[str, Any] = Field(default_factory=dict, description="fine_tune: its configuration")
    training: dict[str, Any] = Field(
        default_factory=dict, description="fine_tune: what differs from the method's own optimisation"
    )
    start: Literal["pretrained", "random"] = Field(
        "pretrained", description="fine_tune: the run's encoder, or Untrained on the training clips (from scratch)"
    )
    select: Literal["last", "best_valid"] = Field(
        "last", description="fine_tune: weights after the last step, or the first best on validation clips"
    )
    select_on: Literal["valid", "train_and_valid"] = Field(
        "valid",
        description="fine_tune: clips that best_valid looks at; with the training clips a released code's fault is repeated",
    )
    select_every: Count | None = Field(None, description="fine_tune: steps between looks at validation; else epochs")
    curve_every: Count | None = Field(
        None, description="fine_tune: steps between scores of the test clips while it trains; nothing is chosen by them"
    )
    freeze: Literal["none", "all"] | Count | tuple[str, ...] = Field(
        "none", description="fine_tune: how many first blocks of the encoder, or which modules, stay as they are"
    )
    layer_decay: Positive = Field(
        1.0, description="fine_tune: factor on the learning rate from a block to the one below"
    )
    encoder_lr: Positive = Field(1.0, description="fine_tune: factor on the learning rate of the whole encoder")

    def is_for(self, task: str) -> bool:
        """Whether it scores the task, where a run is evaluated on it."""
        return not self.tasks or task in self.tasks

    @property
    def tuning(self) -> Training:
        """The optimisation of a fine_tune head, complete once the plan has resolved it."""
        return validate(Training, self.training, "training of a fine_tune protocol")

    @model_validator(mode="after")
    def _fine_tuning(self) -> Protocol:
        """Settings that the head would not read are refused: they would be believed."""
        frozen = {"lr", "steps", "batch_size", "standardise", "regularisers", "neighbours"}
        tuned = {"method", "method_config", "training", "start", "select", "select_on", "select_every"}
        tuned |= {"curve_every", "freeze", "layer_decay", "encoder_lr"}
        if self.head == "fine_tune" and (unread := sorted(frozen & self._changed())):
            raise ValueError(f"a fine_tune head does not read {unread[0]}; state its optimisation under training")
        if self.head != "fine_tune" and (unread := sorted(tuned & self._changed())):
            raise ValueError(f"only a fine_tune head reads {unread[0]}; drop it or set head: fine_tune")
        return self

    def _changed(self) -> set[str]:
        """Fields that are not at their defaults."""
        fields = type(self).model_fields.items()
        return {name for name, field in fields if getattr(self, name) != field.get_default(call_default_factory=True)}

    @model_validator(mode="after")
    def _grids(self) -> Protocol:
        if self.head == "converged" and not self.regularisers:
            raise ValueError("a converged head needs a grid of regularisers")
        if self.head == "intra_knn" and len(self.neighbours) != 1:
            raise ValueError("an intra_knn head needs one number of neighbours: it has no validation part to choose by")
        if self.head == "knn" and not self.neighbours:
            raise ValueError("a knn head needs a grid of neighbours")
        return self


class ProbeSpec(Config):
    """A protocol that scores an ``intra_knn`` head's task again and again while a run trains."""

    task: str
    protocol: str
    every: Count | None = Field(None, description="steps between measurements; else one an epoch")
    last: Count = Field(50, description="how many of the last measurements the protocol's score averages")
    select: bool = Field(
        True, description="export the encoder of the best measurement; the last one is a snapshot then"
    )


class RunSpec(Config):
    """One run family of a study, stated as its delta from the method's and encoder's own defaults.

    In the file, ``extends: <family>`` states it as a delta from another run of the study.
    """

    title: str
    method: str
    reported_as: str | None = Field(None, description="the method's id in scores, where published numbers have another")
    encoder: str
    ablation: bool = Field(False, description="left out unless the profile has `ablations: true`")
    data: tuple[str, ...] = Field((), description="datasets to pre-train on, without their labels")
    audio_of: str | None = Field(
        None,
        description="pre-train on the training part of this task's one split, without its labels, instead of `data`",
    )
    task: str | None = Field(None, description="train with this task's labels, once a fold (Supervised)")
    labels: str | None = Field(
        None,
        description="train once with this task's labels, on its training part, to be scored on tasks of other datasets",
    )
    probe: ProbeSpec | None = Field(None, description="what is measured while it trains")
    evaluate: tuple[str, ...] = Field(description="tasks to score")
    protocols: tuple[str, ...]
    variant: str = "default"
    untrained: str | None = Field(None, description="run family that is the Untrained reference")
    supervised: dict[str, str] = Field(
        default_factory=dict, description="task -> run family of the Supervised reference"
    )
    method_config: dict[str, Any] = Field(default_factory=dict)
    encoder_config: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    transductive: bool = Field(
        False, description="the evaluated dataset's unlabelled audio was seen in pre-training; flagged"
    )

    @model_validator(mode="after")
    def _one_source(self) -> RunSpec:
        sources = {"data": self.data, "task": self.task, "labels": self.labels, "audio_of": self.audio_of}
        if len(given := [name for name, value in sources.items() if value]) > 1:
            raise ValueError(f"a run trains on one source; set one of {', '.join(given)}")
        return self


class TableSpec(Config):
    """One table: run families down, tasks across."""

    caption: str
    rows: tuple[str, ...]
    tasks: tuple[str, ...]
    protocol: str | dict[str, str] = Field(description="one protocol, or one by run family with `default`")
    train_size: TrainSize = "full"
    value: Literal["accuracy", "normalised"] = "accuracy"

    @property
    def protocols(self) -> dict[str, str]:
        """``protocol`` by run family, with `default` for the others where there is one for them."""
        return self.protocol if isinstance(self.protocol, dict) else {"default": self.protocol}


class SummaryColumn(Config):
    """One setting of a summary."""

    title: str
    protocol: str
    train_size: TrainSize = "full"


class SummarySpec(Config):
    """Normalised accuracy averaged over tasks: run families down, settings across (tagliasacchi2020, table I)."""

    caption: str
    published: str = Field("", description="table of the paper with the study's id whose numbers stand beside ours")
    rows: tuple[str, ...]
    tasks: tuple[str, ...]
    columns: tuple[SummaryColumn, ...]


class FigureSpec(Config):
    """Bars of a summary: by run, a panel a column; or by task, a panel a run and column."""

    caption: str
    summary: str
    by: Literal["run", "task"]
    columns: tuple[str, ...] = Field(description="titles of the summary's columns")
    rows: tuple[str, ...]


class Study(Config):
    """A study's data file, in ``studies/`` or in an installed package."""

    id: str
    title: str
    tasks: tuple[str, ...]
    protocols: dict[str, Protocol]
    runs: dict[str, RunSpec]
    tables: dict[str, TableSpec]
    notes: tuple[str, ...] = ()
    summaries: dict[str, SummarySpec] = Field(default_factory=dict)
    figures: dict[str, FigureSpec] = Field(default_factory=dict)
    readings: tuple[str, ...] = Field((), description="settings of methods that stand beside their scores in summaries")
    untrained_protocols: dict[str, str] = Field(
        default_factory=dict,
        description="protocol -> protocol of the Untrained reference in normalised accuracy, which is always frozen",
    )
    published_ids: dict[Literal["encoder", "train_size"], dict[str, str]] = Field(
        default_factory=dict,
        description="where published results name what the study runs otherwise: column -> id here -> id there",
    )

    @model_validator(mode="after")
    def _resolves(self) -> Study:
        for name, run in self.runs.items():
            references = [*filter(None, [run.untrained]), *run.supervised.values()]
            probed = [run.probe] if run.probe else []
            for kind, used, known in [
                ("protocol", [*run.protocols, *(probe.protocol for probe in probed)], self.protocols),
                ("task", [*run.evaluate, *(probe.task for probe in probed)], self.tasks),
                ("run", references, self.runs),
            ]:
                if unknown := [u for u in used if u not in known]:
                    raise ValueError(f"run {name} names the undeclared {kind} {unknown[0]!r}")
        for name, table in self.tables.items():
            if unknown := [row for row in table.rows if row not in self.runs]:
                raise ValueError(f"table {name} names the undeclared run {unknown[0]!r}")
            if unknown := [protocol for protocol in table.protocols.values() if protocol not in self.protocols]:
                raise ValueError(f"table {name} names the undeclared protocol {unknown[0]!r}")
        self._summaries_resolve()
        return self

    def _summaries_resolve(self) -> None:
        pairs = [*self.untrained_protocols.items()]
        used: list[tuple[str, str, Collection[str], Collection[str]]] = []
        used += [("untrained_protocols", "protocol", [name for pair in pairs for name in pair], self.protocols)]
        for name, spec in self.summaries.items():
            used += [
                (f"summary {name}", "run", spec.rows, self.runs),
                (f"summary {name}", "task", spec.tasks, self.tasks),
            ]
            used += [(f"summary {name}", "protocol", [column.protocol for column in spec.columns], self.protocols)]
        for name, figure in self.figures.items():
            used += [(f"figure {name}", "summary", [figure.summary], self.summaries)]
            summary = self.summaries.get(figure.summary)
            titles = {column.title for column in summary.columns} if summary else set()
            used += [(f"figure {name}", "column", figure.columns, titles)]
            used += [(f"figure {name}", "run", figure.rows, summary.rows if summary else ())]
        for where, kind, named, known in used:
            if unknown := [each for each in named if each not in known]:
                raise ValueError(f"{where} names the undeclared {kind} {unknown[0]!r}")


class Scale(Config):
    """What a profile may change of a run: the allow-list. Everything else is the study's."""

    width: Positive | None = None
    depth: Count | None = None
    steps: Annotated[int, Field(ge=0)] | None = None
    batch_size: Count | None = None
    max_clips: Count | None = None
    snapshots: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    checkpoint_every: Count | None = None
    log_every: Count | None = None
    precision: Precision | None = None


class ProtocolScale(Config):
    """What a profile may change of a protocol."""

    replicas: Count | None = None
    steps: Count | None = None
    epochs: Count | None = Field(None, description="fine_tune only, as the settings of training below")
    batch_size: Count | None = None
    precision: Precision | None = None
    select_every: Count | None = None
    curve_every: Count | None = None
    train_sizes: tuple[TrainSize, ...] | None = None
    neighbours: tuple[Count, ...] | None = None


class Machine(Config):
    """The devices, stated and never detected: one and two threads, or ranks, give different gradients."""

    device: str = "cpu"
    threads: Count = Field(2, description="of each rank")
    workers: Count = Field(2, description="processes that decode audio")
    ranks: Count = Field(1, description="processes that train and embed together, each on a device of its own")


class Profile(Config):
    """A scale at which the studies run."""

    data: Literal["standin", "real"]
    machine: Machine | None = Field(None, description="devices of this profile, in place of those of all profiles")
    studies: tuple[str, ...]
    rates: dict[str, tuple[Count, ...]] = Field(
        description="sample rates in Hz that the runs ask for, by dataset; `default` for the others"
    )
    seeds: dict[str, Count] = Field(description="pre-training seeds by run family; `default` for the others")
    runs: dict[str, Scale] = Field(description="scale by run family; `default` is below them all")
    protocols: dict[str, ProtocolScale] = Field(
        default_factory=dict, description="scale by protocol, or by protocol and study: `linear@transfer`"
    )
    skip: tuple[str, ...] = Field((), description="run families this profile leaves out")
    ablations: bool = Field(False, description="whether the studies' ablations run, or their main tables alone")
    fetch: bool = Field(False, description="whether the scan downloads real data that is absent and open to all")
    bootstrap: Count = Field(2000, description="bootstrap resamples of every interval")

    def rates_of(self, dataset: str) -> tuple[int, ...]:
        """Sample rates in Hz at which a dataset is prepared."""
        return self.rates.get(dataset, self.rates.get("default", ()))

    @model_validator(mode="after")
    def _real(self) -> Profile:
        if self.fetch and self.data != "real":
            raise ValueError("a profile on stand-in data has nothing to fetch")
        return self


class Active(Config):
    """The stages of the selected profile, written by ``benchmark select``; DVC's matrices read them."""

    corpora: tuple[str, ...]
    runs: tuple[str, ...]
    studies: tuple[str, ...]
    only: tuple[str, ...] = Field((), description="studies to which the profile was narrowed; empty: all of them")


class Params(Config):
    """``params.yaml``."""

    profile: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)]
    active: Active
    seed: Annotated[int, Field(ge=0)] = 0
    machine: Machine
    profiles: dict[str, Profile]

    def machine_of(self, profile: str) -> Machine:
        """The devices on which a profile runs."""
        return self.profiles[profile].machine or self.machine


Model = TypeVar("Model", bound=Config)


def validate(model: type[Model], data: Any, where: str) -> Model:
    """``data`` as a ``model``.

    Raises:
        ConfigError: one sentence that names ``where``, the key and what is wrong with it.
    """
    try:
        return model.model_validate(_tuples(data))
    except ValidationError as error:
        raise ConfigError(_one_sentence(error, model, where)) from error


def load_yaml(path: Path) -> Any:
    """Parse a YAML file of ours.

    Raises:
        ConfigError: it is missing or does not parse.
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error


def parse_yaml(text: str) -> Any:
    """What a YAML text of ours says.

    Raises:
        yaml.YAMLError: it does not parse.
    """
    return deepcopy(_parsed(text))


@lru_cache(maxsize=32)
def _parsed(text: str) -> Any:
    """The same few files are asked for again and again, and parsing takes ten times a copy."""
    return yaml.load(text, Loader=_LOADER)


def load_params(root: Path) -> Params:
    """``params.yaml`` of the project at ``root``."""
    return validate(Params, load_yaml(root / "params.yaml"), "params.yaml")


def merged(base: Mapping[str, Any], delta: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``delta`` laid over it, recursively through nested mappings."""
    result = dict(base)
    for key, value in delta.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _tuples(data: Any) -> Any:
    """YAML lists as tuples, which strict models ask for."""
    if isinstance(data, Mapping):
        return {key: _tuples(value) for key, value in data.items()}
    return tuple(_tuples(item) for item in data) if isinstance(data, list) else data


def _one_sentence(error: ValidationError, model: type[BaseModel], where: str) -> str:
    first = error.errors()[0]
    location = ".".join(str(part) for part in first["loc"]) or "the file"
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(known)}."
        return f"{where}: unknown parameter {location!r}{hint}"
    value = "" if first["type"] in {"missing", "value_error"} else f", got {first['input']!r}"
    more = f" ({error.error_count() - 1} more faults)" if error.error_count() > 1 else ""
    return f"{where}: {location}: {first['msg']}{value}{more}."


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Field names of the model at ``location``; empty where the path leaves the models."""
    current: Any = model
    for part in location:
        fields = getattr(current, "model_fields", None)
        if fields is None:  # a mapping or a tuple: the part is a key, and the last type argument is that of the values
            current = (getattr(current, "__args__", None) or [None])[-1]
        else:
            current = fields[part].annotation if part in fields else None
    return list(getattr(current, "model_fields", {}))
