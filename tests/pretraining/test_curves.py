import errno
import json
import os
from pathlib import Path

import pytest

from benchmark.errors import StorageError
from benchmark.pretraining.curves import Curves

HISTORY = [{"step": 10, "loss": 2.5, "lr": 0.1}, {"step": 20, "loss": 1.5, "lr": 0.05, "probe": 0.25}]


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_row_a_step_and_nothing_timed(tmp_path: Path) -> None:
    curves = Curves(tmp_path, [])
    for entry in HISTORY:
        curves.log(entry)
    found = files(tmp_path)
    assert found["loss.tsv"] == "step\tloss\n10\t2.5\n20\t1.5\n"
    assert found["probe.tsv"] == "step\tprobe\n20\t0.25\n"
    assert json.loads(found["metrics.json"]) == {"loss": 1.5, "lr": 0.05, "probe": 0.25, "step": 20}
    assert set(found) == {"loss.tsv", "lr.tsv", "probe.tsv", "metrics.json"}


def test_resuming_rewinds_to_the_checkpoints_history(tmp_path: Path) -> None:
    whole = Curves(tmp_path / "whole", [])
    killed = Curves(tmp_path / "killed", [])
    for entry in [*HISTORY, {"step": 30, "loss": 1.25, "lr": 0.01}]:
        whole.log(entry)
        killed.log(entry)
    Curves(tmp_path / "killed", HISTORY[:1]).log(HISTORY[1])
    resumed = Curves(tmp_path / "killed", HISTORY)
    resumed.log({"step": 30, "loss": 1.25, "lr": 0.01})
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curves = Curves(tmp_path, [])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(curves._live, "make_summary", full)
    with pytest.raises(StorageError, match=r"Cannot write the curves in .*No space left on device; free space"):
        curves.log(HISTORY[0])
