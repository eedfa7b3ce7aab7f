from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmark import registry
from benchmark.errors import DataError
from tests.tasks.conftest import standin_corpus

DATASET = registry.load("dataset", "nsynth")


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    standin_corpus(root, DATASET)
    shutil.copytree(root / "raw" / "nsynth", tmp_path / "raw")
    return tmp_path / "raw"


def test_instruments_do_not_straddle_training(root: Path):
    clips = standin_corpus(root, DATASET).clips
    training = clips["split"] == "train"
    assert not set(clips.loc[training, "group"]) & set(clips.loc[~training, "group"])


@pytest.mark.parametrize(
    "change",
    [{"pitch": 30}, {"pitch": "45"}, {"instrument_family": 11}, {"instrument_family_str": "voice"}, {"pitch": None}],
)
def test_a_contradiction_is_one_sentence(folder: Path, change: dict[str, Any]):
    file = folder / "nsynth-test" / "examples.json"
    examples = json.loads(file.read_text())
    name = next(iter(examples))
    examples[name] |= change
    file.write_text(json.dumps(examples))
    with pytest.raises(DataError, match=f"contradicts itself about {name}"):
        DATASET.read(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"bass_synthetic_033-022-050": 3}', "\x00"])
def test_damaged_json_is_one_sentence(folder: Path, content: str):
    (folder / "nsynth-valid" / "examples.json").write_text(content)
    with pytest.raises(DataError, match="fetch the dataset again") as caught:
        DATASET.read(folder)
    assert "\n" not in str(caught.value)
