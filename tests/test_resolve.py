"""The child process in which runs are resolved answers as this process does, in which all other tests resolve them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: F401 (loaded, as in a fork of a process that has loaded the libraries)

from benchmark import resolve
from benchmark.errors import ConfigError
from benchmark.resolve import Request, _in_child, _resolve_here
from benchmark.workspace import Workspace

REQUEST: dict[str, Any] = {
    "where": "Run r",
    "method": "simclr",
    "encoder": "tagliasacchi_cnn",
    "method_config": {"temperature": 0.5},
    "encoder_config": {"width": 0.25},
    "training": {"lr": 0.01},
    "scale": {"steps": 7},
}


def test_the_child_gives_every_answer_in_order():
    requests = [REQUEST, {**REQUEST, "encoder_config": {"width": 0.5}}]
    here = [_resolve_here(Request(**request)) for request in requests]
    assert _in_child(requests) == [answer.model_dump(mode="json") for answer in here]
    assert here[0].parameters < here[1].parameters
    assert (here[0].training.steps, here[0].training.lr, here[0].method_config["temperature"]) == (7, 0.01, 0.5)


def test_a_fault_is_a_sentence_on_both_sides():
    with pytest.raises(
        ConfigError, match=r"^Run r: method_config: unknown parameter 'temprature'; did you mean 'temperature'\?"
    ):
        _in_child([{**REQUEST, "method_config": {"temprature": 0.2}}])


def test_where_torch_is_loaded_no_child_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def child(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
        raise AssertionError("a child was asked")

    monkeypatch.setattr(resolve, "_in_child", child)
    monkeypatch.delenv("BENCHMARK_CACHE", raising=False)
    request = Request(**REQUEST)
    [answer] = resolve.resolve([request], Workspace(tmp_path, "standin"))
    assert answer.model_dump(mode="json") == _resolve_here(request).model_dump(mode="json")
