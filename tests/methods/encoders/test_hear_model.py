"""The wrapper of outside models: nothing of the batch reaches an embedding, and its identity is that of code and weights."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from benchmark import ConfigError
from benchmark.pretraining.export import build_encoder, export_part, load_part, write_part
from benchmark.seeding import torch_stream
from tests.outside_model import installed

MODULE = "outside_for_encoder"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The example model with weights, inside a project."""
    outside = installed(tmp_path / "elsewhere", monkeypatch, MODULE)
    (tmp_path / "params.yaml").touch()
    (tmp_path / "studies").mkdir()
    outside.write_weights(str(tmp_path / "w.safetensors"))
    monkeypatch.chdir(tmp_path)
    return {"module": MODULE, "weights": "w.safetensors", "sample_rate": 22_050, "embedding_size": 96}


def test_padding_and_the_batch_change_no_embedding(config: dict[str, object]):
    encoder = build_encoder("hear_model", config).eval()
    lengths = torch.tensor([30_000, 22_050, 700, 30_000, 22_051])
    clips = [0.1 * torch.randn(int(n), generator=torch_stream(0, "clip", i)) for i, n in enumerate(lengths)]
    batch = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True, padding_value=0.7)  # loud padding would be heard
    alone = torch.cat([encoder(clip[None]) for clip in clips])
    torch.testing.assert_close(encoder(batch, lengths), alone, rtol=0, atol=1e-5)


def test_it_is_not_loaded_before_it_embeds_and_its_weights_are_not_exported(config: dict[str, object], tmp_path: Path):
    encoder = build_encoder("hear_model", {**config, "module": "no_such_module"})
    assert not list(encoder.parameters())
    with pytest.raises(ConfigError, match="no_such_module cannot be found"):
        encoder(torch.zeros(1, 100))
    encoder = build_encoder("hear_model", config).eval()
    audio = 0.1 * torch.randn(1, 22_050)
    expected = encoder(audio)
    assert torch.equal(copy.deepcopy(encoder)(audio), expected)
    part = export_part(encoder, "hear_model", config, part="all", fold=None, step=None, job="j")
    assert set(part.arrays) == {"identity"}
    assert torch.equal(load_part(write_part(tmp_path / "run", part))[0](audio), expected)


def test_identity_is_of_code_and_weights(config: dict[str, object]):
    def identity(**changes: object) -> bytes:
        return bytes(build_encoder("hear_model", {**config, **changes}).identity.tolist())

    different = {identity(), identity(weights_sha256="1"), identity(code="1"), identity(attribute="api")}
    assert len(different) == 4
    assert identity() == identity(weights="moved/w.safetensors")


def test_another_size_than_recorded_is_refused(config: dict[str, object]):
    with pytest.raises(ConfigError, match=r"\(22050, 96\) and had \(22050, 95\) when it was brought in"):
        build_encoder("hear_model", {**config, "embedding_size": 95})(torch.zeros(1, 100))
    with pytest.raises(ConfigError, match="wraps a model from outside"):
        build_encoder("hear_model", {})(torch.zeros(1, 100))


def test_windows_are_embedded_as_clips(config: dict[str, object]):
    encoder = build_encoder("hear_model_windows", {**config, "window_seconds": 0.5}).eval()
    assert (encoder.scope, encoder.window) == ("window", 11_025)
    audio = 0.1 * torch.randn(3, 11_025)
    assert torch.equal(encoder(audio), build_encoder("hear_model", config).eval()(audio))
