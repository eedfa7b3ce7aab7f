"""The examples in the documentation run."""

from __future__ import annotations

import re
import types
from pathlib import Path

import torch

from benchmark import registry
from benchmark.pretraining.method import Batch
from benchmark.seeding import torch_stream

ROOT = Path(__file__).parent.parent


def examples(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / name).read_text(), flags=re.DOTALL)


def loaded(source: str) -> types.ModuleType:
    module = types.ModuleType("example")
    exec(compile(source, "docs", "exec"), module.__dict__)
    return module


def test_the_example_method_takes_a_step():
    method_class = loaded(examples("adding.md")[0]).METHOD
    encoder_class = registry.load("encoder", "tagliasacchi_cnn")
    encoder = encoder_class(encoder_class.Config(width=0.0625))
    method = method_class(method_class.Config(), encoder)
    request = method.crops()
    waveforms = torch.randn(4, request.views, request.samples, generator=torch_stream(0, "audio"))
    step = method.train().step(Batch(waveforms, torch.full((4,), request.samples), None), torch_stream(0, "views"))
    step.loss.backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_the_example_task_equals_the_trees():
    assert registry.load("task", "esc50") == loaded(examples("adding.md")[1]).TASK
