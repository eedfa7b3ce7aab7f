from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.artifacts import read_arrays, write_arrays
from benchmark.errors import ConfigError, CorruptArtifactError, StaleArtifactError
from benchmark.pretraining.export import build_encoder, export_part, load_part, load_projection, write_part
from benchmark.signal.encoder import Encoder
from benchmark.signal.projection import ProjectionHead

CONFIG = {"width": 0.0625, "frames": 32}


def encoder() -> Encoder:
    torch.manual_seed(0)
    made = build_encoder("tagliasacchi_cnn", CONFIG)
    made(0.1 * torch.randn(4, made.window))  # moves the batch-norm buffers
    return made


def written(folder: Path, made: Encoder, head: nn.Linear | None = None) -> Path:
    part = export_part(made, "tagliasacchi_cnn", CONFIG, part="fold-3", fold="3", step=None, job="the-job", head=head)
    return write_part(folder, part)


@pytest.mark.parametrize("bias", [True, False, None])
def test_what_was_written_is_loaded(tmp_path: Path, bias: bool | None) -> None:
    made = encoder()
    head = None if bias is None else nn.Linear(made.embedding_size, 5, bias=bias)
    path = written(tmp_path, made, head)
    before = torch.get_rng_state()
    loaded, record, loaded_head = load_part(path)
    assert torch.equal(torch.get_rng_state(), before)
    assert path.name == "fold-3.safetensors"
    assert not loaded.training
    waveform = 0.1 * torch.randn(2, made.window)
    assert torch.equal(loaded(waveform), made.eval()(waveform))
    assert {key: record[key] for key in ("encoder", "config", "part", "fold", "step", "job")} == {
        "encoder": "tagliasacchi_cnn",
        "config": CONFIG,
        "part": "fold-3",
        "fold": "3",
        "step": None,
        "job": "the-job",
    }
    if head is None:
        assert loaded_head is None
    else:
        assert loaded_head is not None
        h = torch.randn(3, made.embedding_size)
        assert torch.equal(loaded_head(h), head(h))


@pytest.mark.parametrize("hidden", [(), (6,), (6, 4)])
def test_a_projection_head_is_loaded_as_it_was_written(tmp_path: Path, hidden: tuple[int, ...]) -> None:
    made = encoder()
    projection = ProjectionHead(made.embedding_size, hidden, 3)
    h = torch.randn(5, made.embedding_size)
    projection(h)  # moves the statistics of batch-norm
    facts: dict[str, Any] = {"part": "all", "fold": None, "step": None, "job": "the-job"}
    path = write_part(tmp_path, export_part(made, "tagliasacchi_cnn", CONFIG, projection=projection, **facts))
    loaded = load_projection(path)
    assert loaded is not None
    assert torch.equal(loaded(h), projection.eval()(h))
    assert load_part(path)[1]["weights"] == load_part(written(tmp_path, made))[1]["weights"]
    assert load_projection(written(tmp_path, made)) is None


def test_weights_hash_knows_the_encoder_and_not_its_head(tmp_path: Path) -> None:
    made = encoder()
    records = [read_arrays(written(tmp_path, made, head))[1] for head in (None, nn.Linear(made.embedding_size, 2))]
    assert records[0]["weights"] == records[1]["weights"]
    with torch.no_grad():
        next(made.parameters()).flatten()[0] += 1e-6
    assert read_arrays(written(tmp_path, made))[1]["weights"] != records[0]["weights"]


def test_an_export_is_a_copy() -> None:
    made = encoder()
    part = export_part(made, "tagliasacchi_cnn", CONFIG, part="all", fold=None, step=3, job="j")
    before = {name: array.copy() for name, array in part.arrays.items()}
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(1.0)
    assert all(np.array_equal(before[name], array) for name, array in part.arrays.items())


def test_weights_that_are_not_the_records_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, encoder())
    arrays, record = read_arrays(path)
    name = next(name for name in arrays if name.endswith("weight"))
    arrays[name] = arrays[name] + 1
    write_arrays(path, arrays, record)  # a valid file, with other weights than its record says
    with pytest.raises(CorruptArtifactError, match="not those of its record"):
        load_part(path)


@pytest.mark.parametrize(
    "change", [{"encoder": "no_such_encoder"}, {"config": {"widht": 1.0}}, {"config": {"width": 2.0}}]
)
def test_an_encoder_that_no_longer_builds_is_stale(tmp_path: Path, change: dict[str, object]) -> None:
    path = written(tmp_path, encoder())
    arrays, record = read_arrays(path)
    write_arrays(path, arrays, {**record, **change})
    with pytest.raises(StaleArtifactError, match="does not build its encoder"):
        load_part(path)


def test_missing_and_truncated_files(tmp_path: Path) -> None:
    with pytest.raises(StaleArtifactError, match="does not exist"):
        load_part(tmp_path / "all.safetensors")
    path = written(tmp_path, encoder())
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CorruptArtifactError):
        load_part(path)


def test_an_unknown_encoder_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'tagliasacchi_cnn'"):
        build_encoder("tagliasachi_cnn", {})
