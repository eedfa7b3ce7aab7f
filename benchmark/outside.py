"""Models from outside that are scored beside the studies' own runs: one small data file each, ``outside/<name>.yaml``.

``benchmark evaluate --model`` writes the file, and every reader of a study sees the model as one more run of it: in the plan, the
tables and the report. The file says what the model is; the hash of its weights and of its code are taken anew by every plan,
so that new weights under an old name are another model. Free of torch, and no outside code is imported here.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import yaml
from pydantic import Field

from benchmark.artifacts import hash_file, write_text
from benchmark.closure import code_hash, locate
from benchmark.config import Config, Count, Positive, RunSpec, Study, TableSpec, load_yaml, validate
from benchmark.errors import ConfigError
from benchmark.registry import nearest

FOLDER = "outside"
METHOD = "fixed_features"
_FROZEN_HEADS = ("converged", "knn")


class OutsideModel(Config):
    """A model from outside that speaks the HEAR API, and what it is to be scored on."""

    title: str
    module: str = Field(description="importable name of the module with load_model and get_scene_embeddings")
    attribute: str = Field(
        "", description="object inside the module that holds these functions; empty: the module itself"
    )
    weights: str = Field(
        "", description="file that load_model is given; relative to the project where it lies inside it"
    )
    sample_rate: Count
    embedding_size: Count
    window_seconds: Positive | None = Field(None, description="embed fixed windows of this length; None: whole clips")
    study: str
    tasks: tuple[str, ...]
    protocols: tuple[str, ...]

    @property
    def spec(self) -> RunSpec:
        """The model as a run family of its study."""
        windows = {} if self.window_seconds is None else {"window_seconds": self.window_seconds}
        return RunSpec(
            title=self.title,
            method=METHOD,
            encoder="hear_model_windows" if windows else "hear_model",
            encoder_config={
                "module": self.module,
                "attribute": self.attribute,
                "weights": self.weights,
                "sample_rate": self.sample_rate,
                "embedding_size": self.embedding_size,
                **windows,
            },
            evaluate=self.tasks,
            protocols=self.protocols,
        )

    def identified(self, root: Path) -> tuple[RunSpec, str]:
        """The run with the hashes of the model's code and weights as they are now, and why it cannot be run here, if so."""
        spec = self.spec
        if reason := self.absent(root):
            return spec, reason
        try:
            hashes = {"code": _code(self.module), "weights_sha256": self._weights_sha256(root)}
        except ConfigError as error:  # its source does not parse: the other runs need not wait for that
            return spec, str(error).rstrip(".")
        return spec.model_copy(update={"encoder_config": {**spec.encoder_config, **hashes}}), ""

    def absent(self, root: Path) -> str:
        """Why the model cannot be loaded here; empty where its code and weights are there."""
        if locate(self.module) is None:
            return (
                f"the module {self.module} cannot be found; install its package in this environment or put its folder "
                "on PYTHONPATH"
            )
        if self.weights and not (root / self.weights).is_file():
            return f"the weights {self.weights} do not exist"
        return ""

    def _weights_sha256(self, root: Path) -> str:
        if not self.weights:
            return ""
        path = root / self.weights
        state = path.stat()
        return _sha256(path, state.st_mtime_ns, state.st_size)


def outside_models(root: Path) -> dict[str, OutsideModel]:
    """Every model that was brought in, by name.

    Raises:
        ConfigError: a file does not parse or lacks something.
    """
    files = sorted((root / FOLDER).glob("*.yaml"))
    return {file.stem: validate(OutsideModel, load_yaml(file), f"{FOLDER}/{file.name}") for file in files}


def write_outside(root: Path, name: str, model: OutsideModel) -> Path:
    """Write ``outside/<name>.yaml``, in place of an earlier one."""
    file = root / FOLDER / f"{name}.yaml"
    head = f"# Written by `benchmark evaluate --model`; `benchmark forget {name}` removes it.\n"
    write_text(file, head + yaml.safe_dump(model.model_dump(mode="json"), sort_keys=False))
    return file


def forget_outside(root: Path, name: str) -> None:
    """Remove ``outside/<name>.yaml``.

    Raises:
        ConfigError: there is none; the message offers the nearest name.
    """
    known = outside_models(root)
    if name not in known:
        raise ConfigError(f"Unknown outside model {name!r}: {nearest(name, list(known))}")
    (root / FOLDER / f"{name}.yaml").unlink()


def with_outside(root: Path, study: Study) -> Study:
    """The study and, as the last of its runs, the outside models that are scored in it.

    A model has a row in every table of raw scores that shows one of its tasks under one of its protocols.

    Raises:
        ConfigError: a model has the name of another run, or names a task or protocol that the study lacks.
    """
    for name, model in outside_models(root).items():
        if model.study == study.id:
            study = joined(study, name, model)
    return study


def frozen_protocols(study: Study) -> tuple[str, ...]:
    """The study's protocols for frozen clip embeddings: what a model is scored by that nobody trains here."""
    return tuple(
        name for name, protocol in study.protocols.items() if protocol.head in _FROZEN_HEADS and protocol.unit == "clip"
    )


def joined(study: Study, name: str, model: OutsideModel) -> Study:
    """The study with one model as a run more; see :func:`with_outside`."""
    where = f"{FOLDER}/{name}.yaml"
    if name in study.runs:
        raise ConfigError(f"{where}: the study {study.id} has a run of that name; give the model another name.")
    for kind, used, known in [
        ("task", model.tasks, list(study.tasks)),
        ("protocol", model.protocols, list(study.protocols)),
    ]:
        if unknown := [each for each in used if each not in known]:
            raise ConfigError(
                f"{where}: the study {study.id} has no {kind} {unknown[0]!r}: {nearest(unknown[0], known)}"
            )
    tables = {
        key: table.model_copy(update={"rows": (*table.rows, name)}) if _shows(table, model) else table
        for key, table in study.tables.items()
    }
    return study.model_copy(update={"runs": {**study.runs, name: model.spec}, "tables": tables})


def _shows(table: TableSpec, model: OutsideModel) -> bool:
    protocol = table.protocols.get("default")
    return table.value == "accuracy" and protocol in model.protocols and bool(set(table.tasks) & set(model.tasks))


def _code(module: str) -> str:
    """Hash of the module and of what it imports of its own package; of its bytes where it is compiled."""
    path = locate(module)
    return code_hash([module]) if path is None or path.suffix == ".py" else hash_file(path)


@cache
def _sha256(path: Path, _modified: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
