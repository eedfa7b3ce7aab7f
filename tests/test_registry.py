"""Plugins are found by name without being imported."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from benchmark import registry
from benchmark.errors import ConfigError


@pytest.fixture(autouse=True)
def _fresh_cache():
    registry.plugins.cache_clear()
    yield
    registry.plugins.cache_clear()


def test_listing_every_kind_imports_nothing_heavy():
    code = (
        "import sys; from benchmark import registry\n"
        "names = [n for kind in registry.KINDS for n in registry.plugins(kind)]\n"
        "assert names\n"
        "print(sorted({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("kind", "typo", "meant"),
    [("method", "simcrl", "simclr"), ("task", "esc-10", "esc10"), ("dataset", "urbansound", "urbansound8k")],
)
def test_an_unknown_name_is_answered_with_the_nearest(kind: registry.Kind, typo: str, meant: str):
    with pytest.raises(ConfigError, match=f"Unknown {kind} '{typo}': did you mean '{meant}'"):
        registry.find(kind, typo)


def test_a_name_like_nothing_known_is_answered_with_all_of_them():
    with pytest.raises(ConfigError, match=r"known are .*simclr"):
        registry.find("method", "zzzzzz")


def entry_point(name: str, value: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name=name, value=value, group="benchmark.tasks")


def test_an_entry_point_is_found_like_an_in_tree_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "outside_tasks.py").write_text(
        "from benchmark import Task\n"
        'TASK = Task(id="outside", title="Outside", dataset="esc50", label="category", fold_column="fold")\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry_point("outside", "outside_tasks")])
    assert registry.load("task", "outside").id == "outside"
    assert registry.find("task", "outside").module == "outside_tasks"
    assert "outside_tasks" in registry.packages()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("outside", "tasks.esc10:TASK", "its record's id is 'esc10'"),
        ("outside", "tasks.nowhere:TASK", "there is no module tasks.nowhere"),
        ("outside", "nowhere.task:TASK", "there is no module nowhere.task"),
        ("outside", "tasks.esc10:TUSK", "tasks.esc10 exposes no TUSK"),
    ],
)
def test_a_wrong_entry_point_is_one_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str):
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry_point(name, value)])
    with pytest.raises(ConfigError, match=f"The task 'outside' .installed.: {sentence}"):
        registry.load("task", name)


def test_two_plugins_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry_point("esc10", "elsewhere:TASK")])
    with pytest.raises(ConfigError, match="Two tasks are called 'esc10'"):
        registry.plugins("task")


@pytest.mark.parametrize("kind", ["task", "dataset"])
def test_a_modules_name_is_the_id_of_its_record(kind: registry.Kind):
    for name in registry.plugins(kind):
        assert registry.load(kind, name).id == name
