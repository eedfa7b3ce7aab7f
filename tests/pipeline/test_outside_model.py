"""An outside model beside the project's own runs: scored, tabled, kept by ``dvc repro``, scored again when it changes."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.outside_model import SOURCE
from tests.pipeline.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def brought_in(project: Project) -> tuple[Project, str]:
    """A project that has run once, then an outside model in it, and what its evaluation printed."""
    shutil.copy(SOURCE, project.root)  # PYTHONPATH holds the project's root, which is all that an outside model needs
    save_file({"projection": weights(0)}, str(project.root / "mine.safetensors"))
    model = ("--model", "logmel_projection", "--weights", "mine.safetensors", "--name", "mine", "--title", "Mine")
    return project, project.run("benchmark", "evaluate", *model).stdout


def weights(seed: int) -> torch.Tensor:
    """A matrix as the model reads it."""
    return torch.randn(128, 96, generator=torch.Generator().manual_seed(seed)) / 128**0.5


def score(project: Project) -> tuple[float, str]:
    """The outside model's accuracy under a linear classifier, and the hash of its weights beside it."""
    scores = pd.read_csv(project.root / "build" / "standin" / "evaluations" / "mine-0" / "scores.csv")
    [row] = scores.query("fold == 'mean' and metric == 'accuracy' and protocol == 'linear'").to_dict("records")
    return row["value"], row["weights_hash"]


def test_it_is_scored_and_in_the_printed_table(brought_in: tuple[Project, str]):
    project, printed = brought_in
    assert re.search(r"^\| Mine \| none \| 1 \| \d+\.\d", printed, flags=re.MULTILINE), printed
    assert re.search(r"^\| Log-mel statistics \|", printed, flags=re.MULTILINE), printed
    assert "fsdd_digit_official      knn" in printed
    assert "Stand-in data" in printed
    results = project.root / "results" / "standin"
    assert "Mine" in (results / "report" / "index.html").read_text()
    assert set(pd.read_csv(results / "scores" / "summary.csv")["run"]) == {"features", "untrained", "simclr", "mine"}


def test_repro_takes_it_over_and_then_runs_nothing(brought_in: tuple[Project, str]):
    project, _ = brought_in
    before = score(project)
    ran = project.repro()
    assert {stage for stage in ran if stage.startswith(("pretrain", "evaluate"))} == {
        "pretrain@standin-mine-0",
        "evaluate@standin-mine-0",
    }
    assert score(project) == before
    assert project.repro() == set()


def test_its_embeddings_are_those_of_the_model(brought_in: tuple[Project, str]):
    project, _ = brought_in
    files = sorted((project.root / "data" / "standin" / "standin").rglob("*.wav"))[:3]
    project.run("benchmark", "embed", *map(str, files), "--run", "mine-0", "--out", "mine.npz")
    clips = np.load(project.root / "mine.npz", allow_pickle=False)["clips"]
    assert clips.shape == (3, 96)
    for words, told in [
        (("--run", "mime-0"), "did you mean 'mine-0'?"),
        (("--run", "mine-0", "--part", "fold-1"), "choose one by --part: all"),
        (("--run", "mine-0", "--out", "mine.csv"), "written as .npz or .parquet"),
    ]:
        done = project.run("benchmark", "embed", str(files[0]), *words, check=False)
        assert (done.returncode, told in done.stdout) == (2, True), done.stdout


def test_new_weights_under_the_old_name_are_scored_anew(brought_in: tuple[Project, str]):
    project, _ = brought_in
    before = score(project)
    path = project.root / "mine.safetensors"
    save_file({"projection": load_file(path)["projection"] * 0}, str(path))  # the same size: only the content differs
    assert {"pretrain@standin-mine-0", "evaluate@standin-mine-0"} <= project.repro()
    after = score(project)
    assert after[1] != before[1]
    assert after[0] < before[0]  # an embedding of zeros tells nothing


def test_without_its_weights_it_is_not_run_and_repro_goes_on(brought_in: tuple[Project, str]):
    project, _ = brought_in
    (project.root / "mine.safetensors").unlink()
    project.repro()
    table = (project.root / "results" / "standin" / "tables" / "tiny" / "accuracy.md").read_text()
    assert re.search(r"^\| Mine \|.*not run", table, flags=re.MULTILINE)
    assert "the weights mine.safetensors do not exist" in table
    assert re.search(r"^\| Log-mel statistics \|.*\d+\.\d", table, flags=re.MULTILINE)


def test_a_forgotten_model_leaves_the_tables(brought_in: tuple[Project, str]):
    project, _ = brought_in
    project.run("benchmark", "forget", "mine")
    project.repro()
    assert "Mine" not in (project.root / "results" / "standin" / "tables" / "tiny" / "accuracy.md").read_text()
