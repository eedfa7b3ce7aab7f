"""What an outside model gets wrong is one sentence that names it."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import pytest
import torch

from benchmark.errors import ConfigError, StaleArtifactError
from benchmark.signal.hear_api import load_hear
from tests.outside_model import installed

GOOD = """
import torch
class Model(torch.nn.Module):
    sample_rate, scene_embedding_size, timestamp_embedding_size = 16000, 3, 3
def load_model(model_file_path=""):
    return Model()
def get_scene_embeddings(audio, model):
    return audio[:, :1].repeat(1, 3)
def get_timestamp_embeddings(audio, model):
    return audio[:, :3, None], audio[:, :3]
"""
_COUNT = iter(range(1000))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a module with one text replaced, and returns its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(old: str = "", new: str = "") -> str:
        name = f"outside_model_{next(_COUNT)}"
        assert old in GOOD
        (tmp_path / f"{name}.py").write_text(GOOD.replace(old, new))
        importlib.invalidate_caches()
        return name

    return write


def test_a_model_is_loaded_from_its_weights_in_evaluation_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    outside = installed(tmp_path, monkeypatch, "outside_for_api")
    weights = tmp_path / "w.safetensors"
    outside.write_weights(str(weights), seed=3)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    hear = load_hear("outside_for_api", weights=weights, sha256=sha256)
    assert (hear.sample_rate, hear.scene_embedding_size, hear.model.training) == (22_050, 96, False)
    assert torch.equal(hear.model.projection, outside.random_projection(3))
    audio = 0.1 * torch.randn(2, 30_000)
    assert torch.equal(hear.scene_embeddings(audio), outside.get_scene_embeddings(audio, hear.model))


def test_other_weights_than_planned_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    outside = installed(tmp_path, monkeypatch, "outside_for_hashes")
    weights = tmp_path / "w.safetensors"
    outside.write_weights(str(weights), seed=0)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    outside.write_weights(str(weights), seed=1)
    with pytest.raises(StaleArtifactError, match="others than those that were planned"):
        load_hear("outside_for_hashes", weights=weights, sha256=sha256)
    weights.unlink()
    with pytest.raises(StaleArtifactError, match="cannot be read"):
        load_hear("outside_for_hashes", weights=weights, sha256=sha256)


def test_an_object_in_the_module_may_hold_the_api(module):
    name = module(
        "def load_model",
        "class api:\n    load_model = lambda: Model()\n"
        "    get_scene_embeddings = staticmethod(lambda audio, model: audio[:, :3])\n"
        "    get_timestamp_embeddings = None.__class__\ndef load_model",
    )
    assert load_hear(name, "api").scene_embeddings(torch.ones(2, 8)).shape == (2, 3)
    with pytest.raises(ConfigError, match="has no 'nothing'"):
        load_hear(name, "nothing")


def test_a_missing_module_and_a_missing_import_are_told_apart(module):
    with pytest.raises(ConfigError, match="no_such_module cannot be found; install its package"):
        load_hear("no_such_module")
    with pytest.raises(ConfigError, match="it needs 'not_installed'; install that too"):
        load_hear(module("import torch", "import torch, not_installed"))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("def get_timestamp_embeddings", "def other", "has no function get_timestamp_embeddings"),
        ("return Model()", "return object()", "TensorFlow ones cannot"),
        (
            "return Model()",
            "raise RuntimeError('no such checkpoint.')",
            r"load_model failed with RuntimeError \(no such checkpoint\)",
        ),
        ("= 16000, 3, 3", "= 8000, 3, 3", "sample_rate is 8000; the HEAR API has 16000"),
        ("= 16000, 3, 3", "= 16000, 3.0, 3", "scene_embedding_size should be a positive int"),
        ("import torch", "import torch\n1 / 0", r"cannot be imported: ZeroDivisionError"),
    ],
)
def test_what_loading_can_get_wrong(module, old: str, new: str, told: str):
    with pytest.raises(ConfigError, match=told):
        load_hear(module(old, new))


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ("audio[:, :2]", r"should return a float tensor \(2, 3\) and returned torch.float32 \(2, 2\)"),
        ("audio[:, :3].long()", r"returned torch.int64"),
        ("audio[:, :3].numpy()", r"returned ndarray"),
        ("audio[:, :3] / 0", "NaN or infinite"),
        ("audio.no_such_method()", "batch of 2 clips of 8 samples failed with AttributeError"),
    ],
)
def test_what_embedding_can_get_wrong(module, new: str, told: str):
    hear = load_hear(module("audio[:, :1].repeat(1, 3)", new))
    with pytest.raises(ConfigError, match=told):
        hear.scene_embeddings(torch.ones(2, 8))
