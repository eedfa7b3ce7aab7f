"""The grid on two Ray workers of this machine; one is killed in the middle of its unit."""

from __future__ import annotations

import dataclasses
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from benchmark.artifacts import Cache
from benchmark.errors import ConfigError, GridError
from benchmark.evaluation import grid
from benchmark.evaluation.grid import Cluster, run_grid
from benchmark.evaluation.stage import evaluate
from benchmark.evaluation.units import Unit, units
from benchmark.workspace import Workspace
from tests.evaluation.test_stage import count_calls, make_job, outputs, root, workspace
from tests.evaluation.test_units import several_cells, start_again

__all__ = ["root", "workspace"]  # fixtures

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install -e '.[grid]'")


def busy_workers() -> list[psutil.Process]:
    """Ray's processes below this one that are computing a cell at the moment."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "_compute_unit" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def only_busy_worker(ended: threading.Event) -> psutil.Process | None:
    """The worker that waits for a lock, when all others are idle: one that has just written its cell is busy a moment longer."""
    since, last = time.monotonic(), None
    while not ended.wait(0.05):
        busy = busy_workers()
        if len(busy) != 1 or busy[0] != last:
            since, last = time.monotonic(), busy[0] if len(busy) == 1 else None
        elif time.monotonic() - since > 1:
            return last
    return None


@contextmanager
def killed_within(workspace: Workspace, key: str, others: int) -> Iterator[list[int]]:
    """Kill the worker that computes cell ``key`` when all others are done: until then the cell's lock is held.

    Gives the process ids of those killed.
    """
    killed: list[int] = []
    started, ended = threading.Event(), threading.Event()

    def hold_then_kill() -> None:
        with Cache(workspace.cache).lock("cells", key):
            started.set()
            while len(list((workspace.cache / "cells").glob("*.safetensors"))) < others and not ended.is_set():
                time.sleep(0.05)
            if (worker := only_busy_worker(ended)) is not None:
                worker.send_signal(signal.SIGKILL)
                killed.append(worker.pid)
            while not ended.is_set() and all(process.pid in killed for process in busy_workers()):
                time.sleep(0.05)  # so that it is another worker that gets the lock

    thread = threading.Thread(target=hold_then_kill)
    thread.start()
    started.wait()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def damage(workspace: Workspace, found: list[Unit]) -> tuple[Unit, Path]:
    """A unit and the file of its embeddings, which no other unit reads, with nothing in it that could be read."""
    readers = Counter(unit.embedding for unit in found)
    damaged = next(unit for unit in found if readers[unit.embedding] == 1)
    entry = Cache(workspace.cache).path("embeddings", damaged.embedding)
    entry.parent.mkdir(parents=True)
    entry.write_bytes(b"damaged")
    return damaged, entry


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_worker_is_killed_and_one_unit_fails_and_the_others_give_the_bytes_of_the_stage(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    job = several_cells(workspace)
    evaluate(job, workspace)
    expected = outputs(workspace)
    start_again(workspace)
    found, said = units(job, workspace), []
    damaged, entry = damage(workspace, found[:-1])
    before = signal.getsignal(signal.SIGTERM)
    with killed_within(workspace, found[-1].key, len(found) - 2) as killed:
        outcome = run_grid([job], workspace, Cluster(workers=2), said.append)
    assert len(killed) == 1, "one worker was killed"
    assert outcome == grid.Outcome(len(found) - 1, 0, (damaged,))
    [line] = said
    assert line.startswith(f"{damaged}: {entry} is damaged")
    assert line.endswith("delete it and run the same command again.")
    assert signal.getsignal(signal.SIGTERM) is before, "an interrupt still says what it says without Ray"
    assert not list((workspace.cache / "grid").iterdir())
    entry.unlink()
    cells = count_calls(monkeypatch, "run_protocol")
    evaluate(job, workspace)
    assert len(cells) == 1, "every other cell was found"
    assert outputs(workspace) == expected


def test_without_ray_it_says_what_to_install(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'ssl-audio-benchmark\[grid\]'"):
        run_grid([make_job()], workspace, Cluster(), print)


def test_where_everything_is_cached_ray_is_not_needed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    evaluate(make_job(), workspace)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run_grid([make_job()], workspace, Cluster(), print) == grid.Outcome(0, 2, ())


def test_a_worker_with_other_files_or_other_code_is_refused(workspace: Workspace):
    with grid._terms(workspace, [make_job()]) as terms:
        assert grid._refusal(terms) == ""
        other_code = dataclasses.replace(terms, code="other")
        assert "runs other code or library versions" in grid._refusal(other_code)
        not_installed = dataclasses.replace(terms, encoders=("nothing",))
        assert "runs other code or library versions" in grid._refusal(not_installed)
        other_disk = dataclasses.replace(terms, token=Path("/nowhere/cache/grid/x.token"))
        assert "does not see the files in /nowhere/cache" in grid._refusal(other_disk)
        same_name = dataclasses.replace(terms, word="another grid's")
        assert "on a file system that all machines share" in grid._refusal(same_name)


def test_a_refusal_ends_the_grid(workspace: Workspace):
    class Ray:
        """What is asked of Ray where every worker refuses."""

        exceptions = None

        def wait(self, refs: list[str], num_returns: int) -> tuple[list[str], list[str]]:
            return refs[:num_returns], refs[num_returns:]

        def get(self, ref: str) -> grid._Answer:
            return grid._Answer("The worker on node7 does not see the files.", refused=True)

    found = units(make_job(), workspace)
    with pytest.raises(GridError, match="The worker on node7"):
        grid._collect(Ray(), {unit.key: unit for unit in found}, print)
