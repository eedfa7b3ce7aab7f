"""A measurement during training: kept with its predictions, and the encoder of the best one is exported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmark.artifacts import read_arrays
from benchmark.config import Protocol
from benchmark.jobs import ProbeJob, TaskRef
from benchmark.pretraining.export import load_part, load_projection, probe_file
from benchmark.pretraining.method import Method
from benchmark.pretraining.probing import NAME, Predictions, Probing, best
from benchmark.pretraining.stage import pretrain
from benchmark.workspace import Workspace
from tests.pretraining.test_stage import make_job, outputs, ref, root, run_record, workspace

__all__ = ["root", "workspace"]  # fixtures

SCORES = [0.0, 0.1, 0.5, 0.3, 0.5, 0.2, 0.4]
"""By completed steps; the first best is step 2."""


def probe(**changes: Any) -> ProbeJob:
    task = TaskRef(task="toy", record={}, corpus=ref("toy"))
    protocol = Protocol(head="intra_knn", neighbours=(1,))
    return ProbeJob(**{"task": task, "protocol": protocol, "every": 1, "last": 3, "select": True, **changes})


def steps_of(method: Method) -> int:
    return int(method.encoder.get_buffer("layers.0.1.num_batches_tracked")) // 2


def measure(method: Method) -> tuple[float, Predictions]:
    assert not method.training
    step = steps_of(method)
    return SCORES[step], np.full(4, step)


def test_the_first_best_encoder_is_exported_and_the_last_is_a_snapshot(workspace: Workspace) -> None:
    pretrain(make_job(probe=probe(), training={"snapshots": (2,)}), workspace, measure=measure)
    record = run_record(workspace)
    assert [part["part"] for part in record["parts"]] == ["all", "all-step2", "all-step6"]
    chosen, at_two, last = record["parts"]
    assert chosen["weights"] == at_two["weights"] != last["weights"], "a copy, that later steps leave alone"
    assert record["training"][0]["selected"] == {"step": 2, "score": 0.5}
    folder = workspace.run("run-0")
    assert load_projection(folder / chosen["file"]) is not None
    assert load_part(folder / chosen["file"])[0].get_buffer("layers.0.1.num_batches_tracked") == 4
    arrays, what = read_arrays(folder / probe_file("all"))
    assert arrays["steps"].tolist() == [4, 5, 6]
    assert arrays["predictions"].tolist() == [[4] * 4, [5] * 4, [6] * 4]
    assert what["task"]["task"] == "toy"


def test_without_selection_the_last_encoder_is_exported(workspace: Workspace) -> None:
    pretrain(make_job(probe=probe(select=False), training={"snapshots": (6,)}), workspace, measure=measure)
    record = run_record(workspace)
    chosen, last = record["parts"]
    assert chosen["weights"] == last["weights"]
    assert record["training"][0]["selected"] is None
    assert read_arrays(workspace.run("run-0") / probe_file("all"))[0]["steps"].tolist() == [4, 5, 6]


@pytest.mark.parametrize("killed", [3, 5])
def test_a_killed_run_chooses_what_the_uninterrupted_one_chooses(
    workspace: Workspace, killed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(method: Method) -> tuple[float, Predictions]:
        if steps_of(method) == killed:
            raise KeyboardInterrupt
        return measure(method)

    job = make_job(probe=probe())
    with pytest.raises(KeyboardInterrupt):
        pretrain(job, workspace, measure=dying)
    pretrain(job, workspace, measure=measure)
    interrupted = outputs(workspace)
    monkeypatch.setenv("BENCHMARK_CACHE", str(workspace.root / "another"))
    pretrain(job, Workspace(workspace.root, "test"), measure=measure)
    assert outputs(workspace) == interrupted


@pytest.mark.parametrize(
    ("every", "steps", "expected"), [(2, 6, [2, 4, 6]), (4, 6, [4, 6]), (9, 6, [6]), (1, 3, [1, 2, 3])]
)
def test_it_measures_regularly_and_after_the_last_step(every: int, steps: int, expected: list[int]) -> None:
    probing = Probing(probe(last=2), measure, every, [], lambda *_: None, lambda *_: None)
    assert [step for step in range(steps + 1) if probing.due(step, steps)] == expected
    assert list(probing.last(steps)) == expected[-2:]


def test_the_first_of_equals_is_the_best() -> None:
    history = [{"step": step, NAME: score} for step, score in enumerate(SCORES)]
    assert best(history) == (2, 0.5)
    assert best([{"step": 1, "loss": 0.1}])[1] == -np.inf
