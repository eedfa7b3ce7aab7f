"""Resolves runs against the methods' and encoders' own defaults, in a child process so that the plan never imports torch.

Where torch is loaded already, as in a fork of :mod:`benchmark.warm`, there is nothing to keep away from it, and no child.
``python -m benchmark.resolve`` reads a JSON list of requests on standard input and writes a JSON list of answers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Literal

from benchmark import registry
from benchmark.artifacts import content_hash, read_json, write_json
from benchmark.closure import code_hash
from benchmark.config import Config, EncoderConfig, Training, merged, validate
from benchmark.ending import end_after
from benchmark.errors import ConfigError
from benchmark.workspace import Workspace

UNSTATED_CLASSES = 10
"""Where a run's method is built before anything is known of a task."""


class Request(Config):
    """A run's deltas."""

    where: str
    method: str
    encoder: str
    method_config: dict[str, Any]
    encoder_config: dict[str, Any]
    training: dict[str, Any]
    scale: dict[str, Any]
    """What the profile changes of the training; nothing where the method trains nothing."""
    classes: int = UNSTATED_CLASSES
    """Of the classifier, where one is trained."""
    freeze: Literal["none", "all"] | int | tuple[str, ...] = "none"
    """What of the encoder fine-tuning leaves as it is."""


class Resolved(Config):
    """A run's complete settings and what follows from them."""

    method_config: dict[str, Any]
    encoder_config: dict[str, Any]
    training: Training
    sample_rate: int
    scope: Literal["window", "clip"]
    needs_labels: bool
    parameters: int
    """Of the encoder."""
    trained_parameters: int
    """Of the encoder and everything that is trained with it."""
    views: int
    """Windows of each clip that pass the encoder in a step, see :meth:`.method.Method.windows`."""
    window_flops: int
    """Of one crop's forward pass through the encoder."""
    window_values: int
    """That the encoder's layers put out for one crop."""


def resolve(requests: Sequence[Request], workspace: Workspace) -> list[Resolved]:
    """Resolve every request, from the cache where neither it nor the code behind it has changed.

    Each is cached by itself, so that an edit of one run, or of one method, resolves that alone.

    Raises:
        ConfigError: an unknown method, encoder or parameter, a wrong type or a value out of range.
    """
    code = cache(lambda *plugins: code_hash([*(_module(*plugin) for plugin in plugins), "benchmark.resolve"]))
    files = [workspace.cache / "resolved" / f"{_key(request, code)}.json" for request in requests]
    asked = {file: request for file, request in zip(files, requests, strict=True) if not file.exists()}
    if asked:
        answer_all = _in_this_process if "torch" in sys.modules else _in_child
        answers = answer_all([request.model_dump(mode="json") for request in asked.values()])
        for file, answer in zip(asked, answers, strict=True):
            write_json(file, answer)
    return [validate(Resolved, read_json(file), str(file)) for file in files]


def _key(request: Request, code: Callable[..., str]) -> str:
    """Of all that decides the answer: the run that asks does not."""
    plugins = ("method", request.method), ("encoder", request.encoder)
    return content_hash([request.model_dump(mode="json", exclude={"where"}), code(*plugins)])


def _module(kind: registry.Kind, name: str) -> str:
    return registry.find(kind, name).module


def _in_child(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    child = subprocess.run(
        [sys.executable, "-m", "benchmark.resolve"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        raise RuntimeError(f"Resolving the runs failed:\n{child.stderr}")
    answer = json.loads(child.stdout)
    if "error" in answer:
        raise ConfigError(answer["error"])
    return list(answer["resolved"])


def _in_this_process(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    requests = [validate(Request, item, "request") for item in asked]
    return [_resolve_here(request).model_dump(mode="json") for request in requests]


def _resolve_here(request: Request) -> Resolved:
    method_class = registry.load("method", request.method)
    encoder_class = registry.load("encoder", request.encoder)
    method_config = validate(method_class.Config, request.method_config, f"{request.where}: method_config")
    encoder_config = validate(encoder_class.Config, request.encoder_config, f"{request.where}: encoder_config")
    training = _training(method_class.default_training, request)
    encoder, flops, values = _built(request.encoder, encoder_config)
    parameters = _count(encoder)
    method = method_class(method_config, encoder, request.classes)
    _check_frozen(encoder, request)
    return Resolved(
        method_config=method_config.model_dump(mode="json"),
        encoder_config=encoder_config.model_dump(mode="json"),
        training=training,
        sample_rate=encoder.sample_rate,
        scope=encoder.scope,
        needs_labels=method_class.needs_labels,
        parameters=parameters,
        trained_parameters=_count(method),
        views=method.windows() if training.steps != 0 else 0,
        window_flops=flops,
        window_values=values,
    )


@lru_cache(maxsize=4)
def _built(name: str, config: EncoderConfig) -> tuple[Any, int, int]:
    """An encoder and its :func:`.cost.window_cost`; ablations share it, as methods leave its parameters' number alone."""
    from benchmark.cost import window_cost

    encoder = registry.load("encoder", name)(config)
    return encoder, *window_cost(encoder)


def _check_frozen(encoder: Any, request: Request) -> None:
    from benchmark.pretraining.layers import frozen_modules

    try:
        frozen_modules(encoder, request.freeze)
    except ConfigError as error:
        raise ConfigError(f"{request.where}: {error}") from error


def _count(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _training(published: Training, request: Request) -> Training:
    """The method's published settings under the run's delta under the profile's scale, each naming its own length."""
    if published.steps == 0:
        return published
    layers = [published.model_dump(exclude_unset=True), request.training, request.scale]
    settings: dict[str, Any] = {}
    for layer in layers:
        if {"steps", "epochs"} & layer.keys():
            settings = {key: value for key, value in settings.items() if key not in {"steps", "epochs"}}
        settings = merged(settings, layer)
    return validate(Training, settings, f"{request.where}: training")


def main() -> None:
    """Answer the requests on standard input."""
    try:
        answer: dict[str, Any] = {"resolved": _in_this_process(json.load(sys.stdin))}
    except ConfigError as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    end_after(main)
