"""The reference check on real runs of a miniature project: planted regressions are caught and named, noise is not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.pipeline.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STUDY = "studies/tiny.yaml"


def run_everything(project: Project) -> None:
    """All stages that follow the preparation of data, without DVC."""
    project.run("benchmark", "plan", "--write")
    for run in ("features-0", "untrained-0", "simclr-0"):
        project.run("benchmark", "pretrain", "--run", run)
        project.run("benchmark", "evaluate", "--run", run)
    project.run("benchmark", "aggregate")


@pytest.fixture(scope="module")
def accepted(project: Project) -> Project:
    """A project whose first run was accepted."""
    project.run("benchmark", "accept")
    return project


def compared(project: Project) -> subprocess.CompletedProcess[str]:
    run_everything(project)
    return project.run("benchmark", "compare", check=False)


def restored(project: Project) -> None:
    project.run("git", "checkout", "--quiet", "benchmark", "studies", "params.yaml")


def test_a_second_run_is_compared_exactly_and_passes(accepted: Project):
    done = compared(accepted)
    assert done.returncode == 0, done.stdout
    assert "passed (3 runs exactly; " in done.stdout
    assert " 0 within tolerance, 0 beyond)" in done.stdout
    assert (accepted.root / "results" / "standin" / "compare" / "compare.md").read_text().strip() in done.stdout


def test_another_number_of_threads_is_named_and_passes_by_the_measured_tolerance(accepted: Project):
    accepted.run("benchmark", "tolerance", "--runs", "2", "--seeds", "0")
    accepted.edit("params.yaml", "threads: 1", "threads: 2")
    done = compared(accepted)
    restored(accepted)
    assert done.returncode == 0, done.stdout
    assert "3 runs by the numerical tolerance" in done.stdout
    assert "| machine.threads | 1 | 2 | all runs |" in done.stdout


def test_a_wrong_temperature_is_caught_and_named(accepted: Project):
    accepted.edit(STUDY, "temperature: 0.2", "temperature: 5.0")
    done = compared(accepted)
    restored(accepted)
    assert done.returncode == 1, done.stdout
    assert "method_config.temperature 0.2 → 5.0 (simclr-0)" in done.stdout
    assert "weights" in done.stdout


def test_a_leaked_fold_is_caught_and_the_evaluation_is_named(accepted: Project):
    accepted.edit(
        "benchmark/corpus/splits.py",
        "return Fold(name, train_kept,",
        "return Fold(name, np.sort(np.concatenate([train_kept, test])),",
    )
    done = compared(accepted)
    restored(accepted)
    assert done.returncode == 1, done.stdout
    assert re.search(r"features-0 on fsdd_digit_official under linear \(\w+, clip\) rose by", done.stdout), done.stdout
    assert "evaluation code" in done.stdout


def test_a_stale_cache_is_caught_and_named(accepted: Project):
    accepted.edit("benchmark/jobs.py", 'content_hash(self.model_dump(mode="json"))', "content_hash(self.name)")
    run_everything(accepted)
    assert accepted.run("benchmark", "accept", check=False).returncode == 2  # uncommitted changes
    accepted.run("benchmark", "accept", "--allow-dirty")
    accepted.edit(STUDY, "temperature: 0.2", "temperature: 5.0")
    done = compared(accepted)
    restored(accepted)
    assert done.returncode == 1, done.stdout
    assert (
        "Stale cache: simclr-0 has method_config.temperature 0.2 → 5.0, but its weights are still the accepted ones"
        in done.stdout
    )


def test_without_a_reference_it_is_one_sentence(accepted: Project, tmp_path: Path):
    done = accepted.run("benchmark", "compare", "--reference", str(tmp_path / "nothing"), check=False)
    assert done.returncode == 2
    assert done.stdout.startswith("error: There is no accepted run in")
    assert len(done.stdout.strip().splitlines()) == 1
