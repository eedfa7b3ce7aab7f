"""What a profile would cost, against closed forms."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.config import Protocol
from benchmark.overview import tuned_windows
from benchmark.workspace import Workspace
from tests.evaluation.test_stage import make_job, root, task_ref, workspace

__all__ = ["root", "workspace"]  # fixtures

FOLDS, SIZES, REPLICAS = 5, ("full", 3), 2


def protocol(freeze: Any = "none", tasks: tuple[str, ...] = (), **training: Any) -> Protocol:
    settings = {"batch_size": 8, **training}
    return Protocol(
        head="fine_tune", freeze=freeze, replicas=REPLICAS, train_sizes=SIZES, training=settings, tasks=tasks
    )


@pytest.mark.parametrize(("freeze", "passes"), [("none", 3), ("all", 1)])
def test_steps_of_fine_tuning_are_counted_for_each_fold_size_and_replica(
    workspace: Workspace, freeze: str, passes: int
):
    job = make_job(protocols={"tune": protocol(freeze, steps=7)})
    assert tuned_windows(job, workspace) == passes * FOLDS * len(SIZES) * REPLICAS * 7 * 8


def test_epochs_are_counted_by_the_clips_that_the_record_expects_where_they_are_absent(workspace: Workspace):
    units = 3 * len(SIZES) * REPLICAS
    job = make_job(protocols={"tune": protocol(epochs=2)})
    present = tuned_windows(job, workspace) / (units * 2)
    assert 0 < present < FOLDS * 400
    ref = task_ref()
    corpus = ref.corpus.model_copy(update={"dataset": "fsdnoisy18k", "absent": "not there"})
    absent = ref.model_copy(update={"corpus": corpus, "record": {**ref.record, "fold_column": None}})
    job = make_job(tasks=(absent,), protocols={"tune": protocol(epochs=2)})
    assert tuned_windows(job, workspace) == units * 2 * 18_532


def test_other_heads_and_other_tasks_cost_no_fine_tuning(workspace: Workspace):
    assert tuned_windows(make_job(), workspace) == 0
    assert tuned_windows(make_job(protocols={"tune": protocol(steps=7, tasks=("another",))}), workspace) == 0
