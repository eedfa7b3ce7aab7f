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


def test_the_readme_shows_the_accepted_table():
    table = (ROOT / "results" / "reference" / "mini" / "transfer" / "tables" / "transfer" / "accuracy.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) > 5
    readme = (ROOT / "README.md").read_text()
    assert "\n".join(rows) in readme


def test_documents_name_files_and_commands_that_exist():
    from benchmark.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    commands |= {str(group.name) for group in app.registered_groups}
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = document.read_text()
        for path in re.findall(
            r"`((?:docs|methods|tasks|tests|studies|perf|benchmark|results/published)/[\w/.]+\.\w+)`", text
        ):
            assert (ROOT / path).exists() or path == "methods/foo.py", f"{document.name} names {path}"
        for command in re.findall(r"`benchmark ([a-z-]+)", text):
            assert command in commands, f"{document.name} names `benchmark {command}`"
