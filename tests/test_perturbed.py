"""Perturbed reruns: which there are, and the project each of them gets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.config import load_params
from benchmark.errors import ConfigError, StaleArtifactError
from benchmark.perturbed import Perturbation, perturbations, rerun, write_project
from benchmark.plan import check_active
from benchmark.workspace import Workspace

ROOT = Path(__file__).parent.parent
ONE_THREAD = Perturbation("1 thread", "numerical", threads=1)


@pytest.fixture
def workspace(checkout: Path) -> Workspace:
    workspace = Workspace(checkout, "sandbox")
    (workspace.build / "prepared").mkdir(parents=True)
    return workspace


def test_no_perturbation_is_the_configuration_itself_and_none_comes_twice():
    found = perturbations(20, 3, threads=2, instructions="avx2 avx512f")
    assert len(found) == 23
    assert len({way.name for way in found}) == 23
    assert found[0] == ONE_THREAD
    assert all((way.threads, way.instructions) != (2, "native") for way in found if way.kind == "numerical")
    assert [way.seed for way in found if way.kind == "seed"] == [1, 2, 3]


@pytest.mark.parametrize("instructions", ["avx2 avx512f", "avx2"])
def test_two_reruns_of_one_thread_have_other_kernels_and_more_threads(instructions: str):
    kernels, threads = perturbations(2, 0, threads=1, instructions=instructions)
    assert kernels.threads == 1
    assert kernels.instructions != "native"
    assert (threads.threads, threads.instructions) == (2, "native")


@pytest.mark.parametrize(
    ("instructions", "kernels"),
    [("avx2 avx512f", {"native", "avx2", "sse4.1"}), ("avx2", {"native", "sse4.1"}), ("asimd", {"native"})],
)
def test_kernels_that_the_processor_uses_anyway_are_no_perturbation(instructions: str, kernels: set[str]):
    found = perturbations(9, 0, threads=2, instructions=instructions)
    assert {way.instructions for way in found} == kernels
    assert len(found) == 9


def test_the_project_of_a_rerun_differs_in_what_is_perturbed_alone(workspace: Workspace, tmp_path: Path):
    before = load_params(workspace.root)
    write_project(workspace, tmp_path / "threads", ONE_THREAD, ["simclr_us8k"])
    changed = load_params(tmp_path / "threads")
    assert (before.machine_of("sandbox").threads, changed.machine_of("sandbox").threads, changed.seed) == (
        2,
        1,
        before.seed,
    )
    assert changed.active.runs == ("simclr_us8k-0",)
    assert changed.profiles["sandbox"].runs == before.profiles["sandbox"].runs
    check_active(tmp_path / "threads", changed, "sandbox")
    write_project(workspace, tmp_path / "seed", Perturbation("seed + 3", "seed", seed=3), [])
    changed = load_params(tmp_path / "seed")
    assert (changed.machine_of("sandbox"), changed.seed) == (before.machine, before.seed + 3)
    assert changed.active.runs == before.active.runs


def test_an_unknown_run_and_unprepared_data_are_refused(workspace: Workspace, tmp_path: Path):
    with pytest.raises(ConfigError, match="no run 'simclr_us8': did you mean 'simclr_us8k'"):
        rerun(workspace, tmp_path / "one", None, ["simclr_us8"])
    shutil.rmtree(workspace.build)
    with pytest.raises(StaleArtifactError, match="not prepared"):
        rerun(workspace, tmp_path / "two", None)
