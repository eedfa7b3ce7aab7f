"""Models behind the HEAR API: loaded, checked, called.

The API (hearbenchmark.com/hear-api) is a module with ``load_model(model_file_path)``, ``get_scene_embeddings(audio, model)`` and
``get_timestamp_embeddings(audio, model)``; the model carries ``sample_rate``, ``scene_embedding_size`` and
``timestamp_embedding_size``. It has no argument for lengths: every sample of a batch counts. All of it is somebody else's code,
so whatever goes wrong inside becomes one sentence that names it.
"""

from __future__ import annotations

import hashlib
import importlib
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.errors import ConfigError, StaleArtifactError
from benchmark.seeding import isolated_torch_seed

SAMPLE_RATES = (16_000, 22_050, 32_000, 44_100, 48_000)
"""In Hz; those at which the HEAR benchmark offers its own data."""


@dataclass(frozen=True)
class HearApi:
    """A loaded model and the module that embeds with it."""

    where: str
    """``module`` or ``module:object``, for people."""
    api: Any
    model: nn.Module

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return int(self.model.sample_rate)  # type: ignore[arg-type]

    @property
    def scene_embedding_size(self) -> int:
        """Values of a clip's embedding."""
        return int(self.model.scene_embedding_size)  # type: ignore[arg-type]

    def scene_embeddings(self, audio: Tensor) -> Tensor:
        """Clips of equal length ``(B, T)`` in [-1, 1] to ``(B, D)`` float32.

        Raises:
            ConfigError: the outside code fails, or returns something of another shape or type, or values that are not finite.
        """
        what = f"{self.where}: get_scene_embeddings on a batch of {len(audio)} clips of {audio.shape[1]} samples"
        try:
            found = self.api.get_scene_embeddings(audio, self.model)
        except Exception as error:
            raise ConfigError(f"{what} failed with {_told(error)}; mend the model's own code.") from error
        expected = (len(audio), self.scene_embedding_size)
        if not isinstance(found, Tensor) or tuple(found.shape) != expected or not found.is_floating_point():
            got = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise ConfigError(f"{what} should return a float tensor {expected} and returned {got}.")
        if not torch.isfinite(found).all():
            raise ConfigError(f"{what} returned values that are NaN or infinite.")
        return found.detach().float()

    def __deepcopy__(self, memo: dict[int, Any]) -> HearApi:
        """The same object: modules of Python cannot be copied, and the weights need not be."""
        return self


def load_hear(module: str, attribute: str = "", weights: Path | None = None, sha256: str = "") -> HearApi:
    """Import ``module`` and let it load its model, in evaluation mode on the CPU.

    This runs the outside module's own code, and the weights file is read by that code alone.

    Args:
        module: importable name.
        attribute: object inside it that holds the API's functions; empty: the module itself.
        weights: handed to ``load_model``; None calls it without an argument, for the model's own default.
        sha256: what the weights must be; empty: not checked.

    Raises:
        ConfigError: the module, a function or an attribute that the API asks for is missing, or loading fails.
        StaleArtifactError: the weights are others than ``sha256`` says.
    """
    where = f"{module}:{attribute}" if attribute else module
    api = _imported(module, attribute, where)
    for function in ("load_model", "get_scene_embeddings", "get_timestamp_embeddings"):
        if not callable(getattr(api, function, None)):
            raise ConfigError(f"{where} has no function {function}, which the HEAR API asks for.")
    if weights is not None and sha256:
        _check_weights(weights, sha256)
    try:
        with isolated_torch_seed(0, "load_hear"):  # a model without weights is the same one every time
            model = api.load_model(str(weights)) if weights is not None else api.load_model()
    except Exception as error:
        given = f"on {weights} " if weights is not None else ""
        raise ConfigError(f"{where}: load_model {given}failed with {_told(error)}.") from error
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"{where}: load_model returned a {type(model).__module__}.{type(model).__name__}; "
            "only models that are torch modules can be scored, TensorFlow ones cannot."
        )
    return HearApi(where, api, _checked(model, where).eval())


def _imported(module: str, attribute: str, where: str) -> Any:
    try:
        found = importlib.import_module(module)
        return operator.attrgetter(attribute)(found) if attribute else found
    except AttributeError as error:
        raise ConfigError(f"{where}: {module} has no {attribute!r}.") from error
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"The module {module} cannot be found; install its package in this environment or put its folder on PYTHONPATH."
            ) from error
        raise ConfigError(f"{where} cannot be imported: it needs {error.name!r}; install that too.") from error
    except Exception as error:
        raise ConfigError(f"{where} cannot be imported: {_told(error)}.") from error


def _checked(model: nn.Module, where: str) -> nn.Module:
    for name in ("sample_rate", "scene_embedding_size", "timestamp_embedding_size"):
        value = getattr(model, name, None)
        if not isinstance(value, int) or value < 1:
            raise ConfigError(
                f"{where}: the model's {name} should be a positive int, as the HEAR API asks, and is {value!r}."
            )
    if model.sample_rate not in SAMPLE_RATES:
        rates = ", ".join(map(str, SAMPLE_RATES))
        raise ConfigError(f"{where}: the model's sample_rate is {model.sample_rate}; the HEAR API has {rates} Hz.")
    return model


def _check_weights(weights: Path, sha256: str) -> None:
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StaleArtifactError(f"The weights {weights} cannot be read ({error.strerror}); put them back.") from error
    if found != sha256:
        raise StaleArtifactError(
            f"The weights {weights} are others than those that were planned (SHA-256 {found[:12]}, not {sha256[:12]}); "
            "run `dvc repro`, which scores the new ones."
        )


def _told(error: Exception) -> str:
    """An exception of code that is not ours as part of a sentence."""
    return f"{type(error).__name__} ({' '.join(str(error).split())[:300].rstrip('.')})"
