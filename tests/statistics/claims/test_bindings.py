from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmark.errors import ConfigError
from benchmark.statistics.claims.bindings import Binding, binding_for, load_bindings
from tests.statistics.claims.toys import claim

CLAIM = claim({"left": {}, "relation": ">", "right": 1})


def write(path: Path, *bindings: dict) -> Path:
    path.write_text(yaml.safe_dump({"bindings": list(bindings)}))
    return path


def test_reads_a_file_and_finds_the_first_that_serves(tmp_path: Path):
    other = {"because": "another paper's", "papers": ["other"]}
    own = {"because": "ours", "claims": ["paper-claim"], "replace": {"task": {"t1": "t2"}}}
    everyone = {"because": "everyone's"}
    bindings = load_bindings(write(tmp_path / "bindings.yaml", other, own, everyone), [CLAIM])
    found = binding_for(CLAIM, bindings)
    assert found is not None
    assert found.because == "ours"
    assert binding_for(CLAIM, bindings[:1]) is None


def test_replaces_single_and_listed_ids():
    binding = Binding(because="", study="mine", replace={"task": {"t1": "x"}, "metric": {"map": "accuracy"}})
    where = {"study": "paper", "task": ("t1", "t2"), "metric": "map", "method": "t1"}
    assert binding.applied(where) == {"study": "mine", "task": ("x", "t2"), "metric": "accuracy", "method": "t1"}


def test_states_what_departs_from_the_claim():
    needs = {"methods": [], "encoders": [], "tasks": ["t1"], "protocols": [], "metrics": []}
    binding = Binding(because="smaller", study="mine", replace={"task": {"t1": "x", "t5": "y"}})
    named = claim({"left": {}, "relation": ">", "right": 1}, needs=needs)
    assert binding.departures(named) == ["t1 -> x", "scores of study mine", "smaller"]


@pytest.mark.parametrize(
    ("binding", "sentence"),
    [
        ({"because": "x", "claims": ["no-such"]}, "unknown claim 'no-such'"),
        ({"because": "x", "replace": {"task": {"t1": "x", "t2": "x"}}}, "bound to one"),
        ({"because": "x", "replace": {"colour": {"red": "blue"}}}, "colour"),
        ({"replace": {}}, "because"),
    ],
)
def test_refuses(tmp_path: Path, binding: dict, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        load_bindings(write(tmp_path / "bindings.yaml", binding), [CLAIM])
