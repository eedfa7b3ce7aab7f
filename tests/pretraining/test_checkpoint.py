import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import artifacts
from benchmark.config import Training
from benchmark.corpus.store import Corpus
from benchmark.errors import CorruptArtifactError, StaleArtifactError, StorageError
from benchmark.pretraining.checkpoint import Checkpoints, TrainingState
from tests.pretraining.toys import build, toy_training, trainer


class Killed(Exception):
    """Stands for kill -9: nothing is tidied up."""


def bits(state: TrainingState) -> dict[str, Any]:
    """Everything that a step changes, as bytes."""
    method = {name: tensor.numpy().tobytes() for name, tensor in state.method.state_dict().items()}
    slots = state.optimizer.state_dict()["state"]
    optimizer = {
        f"{index}/{name}": value.numpy().tobytes()
        for index, slot in slots.items()
        for name, value in slot.items()
        if value is not None
    }
    return {"method": method, "optimizer": optimizer, "history": state.history, "step": state.step}


def curve_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.tsv"))}


def train(folder: Path, corpus: Corpus, training: Training, kill_at: int | None = None) -> TrainingState:
    state = build(training=training)
    run = trainer(folder, corpus, state, training)
    if kill_at is not None:
        original = state.method.after_step

        def dying(step: int) -> None:
            original(step)
            if step == kill_at:
                raise Killed

        state.method.after_step = dying  # type: ignore[method-assign]
    run.fit(state)
    return state


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_killed_runs_resume_to_the_same_bits(tmp_path: Path, corpus: Corpus, optimizer: str, precision: str) -> None:
    training = toy_training(
        optimizer=optimizer, precision=precision, schedule="cosine", weight_decay=0.01, clip_norm=1.0
    )
    whole = train(tmp_path / "whole", corpus, training)
    assert whole.step == 12
    for kills in ([1], [7], [4, 5, 10]):
        folder = tmp_path / "-".join(map(str, kills))
        for kill in kills:
            with pytest.raises(Killed):
                train(folder, corpus, training, kill)
        resumed = train(folder, corpus, training)
        assert bits(resumed) == bits(whole)
        assert curve_files(folder / "curves") == curve_files(tmp_path / "whole" / "curves")


def test_bits_of_different_training_differ(tmp_path: Path, corpus: Corpus) -> None:
    """The comparison above can fail."""
    first = train(tmp_path / "a", corpus, toy_training())
    second = train(tmp_path / "b", corpus, toy_training(lr=1.001e-3))
    assert bits(first)["method"] != bits(second)["method"]


def saved(folder: Path, steps: list[int], key: str = "key") -> Checkpoints:
    checkpoints, state = Checkpoints(folder, key), build()
    for step in steps:
        state.step = step
        checkpoints.save(state)
    return checkpoints


def test_the_last_two_are_kept_and_the_latest_restored(tmp_path: Path) -> None:
    checkpoints, state = saved(tmp_path, [9, 10, 100]), build()
    assert [path.name for path in checkpoints.paths()] == ["step-000000010.safetensors", "step-000000100.safetensors"]
    assert checkpoints.restore(state)
    assert state.step == 100


def test_nothing_to_restore(tmp_path: Path) -> None:
    state = build()
    assert not Checkpoints(tmp_path, "key").restore(state)
    assert state.step == 0


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("hurt", [damage, lambda path: os.truncate(path, 100), lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_names_the_file_and_deleting_it_falls_back(tmp_path: Path, hurt: Any) -> None:
    checkpoints, state = saved(tmp_path, [5, 6]), build()
    latest = checkpoints.paths()[-1]
    hurt(latest)
    with pytest.raises(CorruptArtifactError, match=r"damaged; delete it and run again: training then resumes") as error:
        checkpoints.restore(state)
    assert str(latest) in str(error.value)
    latest.unlink()
    assert checkpoints.restore(state)
    assert state.step == 5


def test_a_damaged_only_checkpoint_says_that_training_restarts(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, [5])
    damage(checkpoints.paths()[0])
    with pytest.raises(CorruptArtifactError, match="starts from scratch"):
        checkpoints.restore(build())


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, [5], key="old")
    with pytest.raises(StaleArtifactError, match="belongs to another configuration; delete it"):
        Checkpoints(tmp_path, "new").restore(build())


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = saved(tmp_path, [5, 6])

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    state = build()
    state.step = 7
    with monkeypatch.context() as patch:
        patch.setattr(artifacts.os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            checkpoints.save(state)
    assert [path.name for path in checkpoints.paths()] == ["step-000000005.safetensors", "step-000000006.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in checkpoints.paths()]
    assert checkpoints.restore(state)
    assert state.step == 6


def test_clear_removes_what_a_kill_left_behind(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    checkpoints = saved(folder, [5])
    (folder / ".step-000000006.safetensors.abc.tmp").write_bytes(b"half")
    checkpoints.clear()
    assert not folder.exists()


def test_layout_in_memory_survives(tmp_path: Path) -> None:
    """Optimiser state of a channels-last weight comes back channels-last: fused kernels walk memory, not indices."""
    from benchmark.pretraining.schedule import build_optimizer

    def convolution() -> TrainingState:
        torch.manual_seed(0)
        method = build().method
        method.extra = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return TrainingState(method, build_optimizer(toy_training(), method), [])

    state = convolution()
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))

    def advance(each: TrainingState) -> np.ndarray:
        each.optimizer.zero_grad()
        each.method.extra(images).square().sum().backward()
        each.optimizer.step()
        return each.method.extra.weight.detach().numpy().copy()

    advance(state)
    Checkpoints(tmp_path, "key").save(state)
    resumed = convolution()
    Checkpoints(tmp_path, "key").restore(resumed)
    for _ in range(3):
        np.testing.assert_array_equal(advance(state), advance(resumed))
    moment = resumed.optimizer.state[resumed.method.extra.weight]["exp_avg"]
    assert moment.is_contiguous(memory_format=torch.channels_last)
