"""Exported encoders behind the HEAR API, as its own validator judges them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
import warnings
from pathlib import Path

import pytest
import torch

from benchmark import hear
from benchmark.errors import ConfigError, StaleArtifactError
from benchmark.pretraining.export import build_encoder, export_part, write_part
from benchmark.signal.inference import for_inference


def exported(folder: Path, name: str, width: float = 0.0625) -> str:
    torch.manual_seed(0)
    encoder = build_encoder(name, {"width": width}).eval()
    part = export_part(encoder, name, {"width": width}, part="all", fold=None, step=None, job="j")
    return str(write_part(folder, part))


@pytest.fixture
def validator(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """hearvalidator's own module. It imports TensorFlow to ask whether a model is of its kind: a stand-in answers no."""
    if importlib.util.find_spec("hearvalidator") is None:
        pytest.skip("hearvalidator is not installed: pip install --no-deps -r requirements-hear.lock")
    if importlib.util.find_spec("tensorflow") is None:
        stand_in = types.ModuleType("tensorflow")
        stand_in.Module = type("Module", (), {})  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "tensorflow", stand_in)
    return importlib.import_module("hearvalidator.validate")


@pytest.mark.parametrize("name", ["tagliasacchi_cnn", "logmel_statistics"])
def test_the_validator_accepts_an_exported_encoder(name: str, tmp_path: Path, validator: types.ModuleType):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # its advice on the interval of the timestamps is a warning
        validator.ValidateModel("benchmark.hear", exported(tmp_path, name), device="cpu")()


def test_the_validator_would_object(tmp_path: Path, validator: types.ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hear, "get_scene_embeddings", lambda audio, model: model(audio)[:, 1:])
    with pytest.raises(validator.ModelError, match="Output embedding size"):
        validator.ValidateModel("benchmark.hear", exported(tmp_path, "tagliasacchi_cnn"), device="cpu")()


def test_the_model_has_what_the_api_asks_for(tmp_path: Path):
    model = hear.load_model(exported(tmp_path, "tagliasacchi_cnn"))
    assert isinstance(model, torch.nn.Module)
    assert model.sample_rate == 16_000
    assert model.scene_embedding_size == model.timestamp_embedding_size == model.encoder.embedding_size
    audio = 0.1 * torch.randn(2, 40_000)
    scenes = hear.get_scene_embeddings(audio, model)
    assert scenes.shape == (2, model.scene_embedding_size)
    assert not scenes.requires_grad
    torch.testing.assert_close(hear.get_scene_embeddings(audio.double(), model.train()), scenes)
    embeddings, timestamps = hear.get_timestamp_embeddings(audio, model)
    assert embeddings.shape[:2] == timestamps.shape == (2, 63)


@pytest.mark.parametrize("samples", [1, 100, 15_600, 30_000])
def test_silence_and_any_length_have_finite_embeddings(samples: int, tmp_path: Path):
    model = hear.load_model(exported(tmp_path, "tagliasacchi_cnn"))
    for embeddings in (
        hear.get_scene_embeddings(torch.zeros(1, samples), model),
        hear.get_timestamp_embeddings(torch.zeros(1, samples), model)[0],
    ):
        assert torch.isfinite(embeddings).all()


def test_a_short_clip_is_begun_again(tmp_path: Path):
    model = hear.load_model(exported(tmp_path, "tagliasacchi_cnn"))
    short = 0.1 * torch.randn(1, 5000)
    tiled = short.repeat(1, 4)[:, : model.encoder.window]
    torch.testing.assert_close(hear.get_scene_embeddings(short, model), for_inference(model.encoder)(tiled).detach())


def test_what_a_user_gets_wrong_is_one_sentence(tmp_path: Path):
    with pytest.raises(ConfigError, match="give load_model an exported encoder"):
        hear.load_model()
    with pytest.raises(StaleArtifactError, match="does not exist"):
        hear.load_model(str(tmp_path / "none.safetensors"))
    model = hear.load_model(exported(tmp_path, "tagliasacchi_cnn"))
    for shape in [(100,), (1, 0), (2, 2, 100)]:
        with pytest.raises(ConfigError, match="mono audio"):
            hear.get_scene_embeddings(torch.zeros(shape), model)
