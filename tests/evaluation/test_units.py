"""Cells listed, shared out and computed apart from the stage."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.artifacts import Cache
from benchmark.config import Protocol
from benchmark.errors import ConfigError, StaleArtifactError
from benchmark.evaluation.stage import evaluate
from benchmark.evaluation.units import Shard, Unit, by_embedding, compute, compute_shard, share, units
from benchmark.jobs import EvaluateJob
from benchmark.workspace import Workspace
from tests.evaluation.test_stage import (
    KNN,
    LINEAR,
    count_calls,
    make_job,
    outputs,
    part,
    root,
    task_ref,
    workspace,
    write_run,
)

__all__ = ["root", "workspace"]  # fixtures


def several_cells(workspace: Workspace) -> EvaluateJob:
    """A finished part and a snapshot; two tasks of other clips; two protocols, one with windows of its own: eight cells."""
    write_run(workspace, [part("all"), part("all-step4", step=4, seed=2)])
    few = task_ref().model_copy(update={"task": "few", "record": {**task_ref().record, "id": "few", "only": "few"}})
    wide = Protocol(head="converged", regularisers=(0.1,), hop=0.25)
    return make_job(tasks=(task_ref(), few), protocols={"linear": LINEAR, "knn": KNN, "wide": wide})


def start_again(workspace: Workspace) -> None:
    shutil.rmtree(workspace.cache)
    shutil.rmtree(workspace.evaluation("run-0"))


def test_shards_then_the_stage_give_the_bytes_of_the_stage_alone(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    job = several_cells(workspace)
    evaluate(job, workspace)
    expected = outputs(workspace)
    start_again(workspace)
    embeds, cells = count_calls(monkeypatch, "embed"), count_calls(monkeypatch, "run_protocol")
    done = [compute_shard(job, workspace, Shard(number, 2)) for number in (2, 1)]
    assert sum(done) == len(cells) == 8
    assert len(embeds) == 6  # two parts x two tasks, and the finished part once more with other windows
    evaluate(job, workspace)
    assert (len(embeds), len(cells)) == (6, 8), "the stage found everything"
    assert outputs(workspace) == expected


def test_the_units_of_a_run_are_the_cells_of_its_stage(workspace: Workspace):
    job = several_cells(workspace)
    found = units(job, workspace)
    assert not any(unit.done(Cache(workspace.cache)) for unit in found)
    evaluate(job, workspace)
    assert {unit.key for unit in found} == {path.stem for path in (workspace.cache / "cells").glob("*.safetensors")}
    assert all(unit.done(Cache(workspace.cache)) for unit in found)
    assert str(found[0]) == "run-0, part all, on esc10 under linear"


def test_parts_with_classifiers_of_their_own_are_units_too(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    """Their clips depend on all protocols of the part, and each embeds its own fold."""
    write_run(workspace, [part(f"fold-{n}", fold=str(n), seed=n, head=True) for n in range(1, 6)])
    job = make_job(protocols={"own": Protocol(head="own", unit="slice")})
    evaluate(job, workspace)
    expected = outputs(workspace)
    start_again(workspace)
    for number in (1, 2):
        compute_shard(job, workspace, Shard(number, 2))
    cells = count_calls(monkeypatch, "run_protocol")
    evaluate(job, workspace)
    assert not cells
    assert outputs(workspace) == expected


def test_what_is_not_run_has_no_units(workspace: Workspace):
    assert units(make_job(status="not run", reason="no data"), workspace) == []
    assert units(make_job(tasks=(task_ref(absent="esc50 is not here"),)), workspace) == []
    write_run(workspace, [], status="not run", reason="no data")
    assert compute_shard(make_job(), workspace, Shard(1, 2)) == 0


def test_a_unit_of_another_plan_is_refused(workspace: Workspace):
    [unit, *_] = units(make_job(), workspace)
    with pytest.raises(
        StaleArtifactError, match="run-0, part all, on esc10 under linear: there is no such cell any more"
    ):
        compute(make_job(code="d"), workspace, [unit])
    with pytest.raises(StaleArtifactError, match="no such cell"):
        compute(make_job(), workspace, [replace(unit, part="other")])


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/2/3", "-1/2", "a/b", "1/0"])
def test_a_shard_that_does_not_exist_is_one_sentence(text: str):
    with pytest.raises(ConfigError, match="is not <number>/<count>"):
        Shard.parse(text)
    assert Shard.parse("2/8") == Shard(2, 8)


def unit_of(number: int, embedding: int, samples: int) -> Unit:
    return Unit("run-0", "all", f"task{number}", "linear", str(number), str(embedding), samples)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=40), st.integers(1, 9))
def test_shards_divide_the_units_and_share_no_embeddings(embeddings: list[int], count: int):
    found = [unit_of(number, embedding, 100 + embedding**3) for number, embedding in enumerate(embeddings)]
    shards = [share(found, Shard(number, count)) for number in range(1, count + 1)]
    assert sorted(unit.key for shard in shards for unit in shard) == sorted(unit.key for unit in found)
    of_shard = [{unit.embedding for unit in shard} for shard in shards]
    assert sum(map(len, of_shard)) == len(set().union(*of_shard))
    loads = [sum(group[0].samples for group in by_embedding(shard)) for shard in shards]
    largest = max((unit.samples for unit in found), default=0)
    assert max(loads) - min(loads) <= largest, "no shard is behind another by more than one group"


def test_a_prepared_project_may_lie_anywhere(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Keys do not depend on paths, so a machine that mounts the project elsewhere fills the same cache."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("data", "build"):
        (elsewhere / name).symlink_to(tmp_path / name)
    assert units(make_job(), Workspace(elsewhere, "test")) == units(make_job(), workspace)
