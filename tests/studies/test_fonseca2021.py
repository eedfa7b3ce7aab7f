"""The study of fonseca2021 against the paper: every cell and claim has a score, every setting is the published one."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark import registry
from benchmark.config import load_params, load_yaml
from benchmark.jobs import EvaluateJob, PretrainJob
from benchmark.plan import Planner, entries
from benchmark.published.results import load_published_results
from benchmark.signal.frontend import FONSECA2021
from benchmark.statistics.claims.grammar import load_claims
from benchmark.statistics.claims.published import judge_published
from benchmark.statistics.claims.scores import IDENTITY, ScoreTable
from benchmark.workspace import Workspace

ROOT = Path(__file__).parents[2]
PAPER = "fonseca2021"
KEY = ["method", "encoder", "pretrain_dataset", "variant", "task", "protocol", "train_size", "metric"]
EXCLUDED = {
    "supervised_recovered": "a ratio of two other cells, which the claim on it computes",
}
"""Metrics of printed numbers that are no score of their own."""


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "studies", root / "studies")
    params = load_params(ROOT)
    once = params.profiles["paper"].model_copy(update={"seeds": {"default": 1}})
    return Planner(Workspace(root, "paper"), params.model_copy(update={"profiles": {"paper": once}}), [PAPER])


@pytest.fixture(scope="module")
def jobs(planner: Planner) -> dict[str, tuple[PretrainJob, EvaluateJob]]:
    pairs = zip(planner.pretrain_jobs(), planner.evaluate_jobs(), strict=True)
    return {job.run: (job, scored) for job, scored in pairs if job.study == PAPER and job.seed == 0}


@pytest.fixture(scope="module")
def declared(jobs: dict[str, tuple[PretrainJob, EvaluateJob]]) -> pd.DataFrame:
    """The key of every score that the paper profile asks for."""
    rows = []
    for _, job in jobs.values():
        for ref, (name, protocol) in product(job.tasks, job.protocols.items()):
            if protocol.is_for(ref.task):
                rows.append(
                    (
                        job.method,
                        job.encoder,
                        job.pretrain_dataset,
                        job.variant,
                        ref.task,
                        name,
                        "full",
                        ref.record["metric"],
                    )
                )
    return pd.DataFrame(rows, columns=KEY)


def test_every_cell_of_the_paper_is_one_declared_score(declared: pd.DataFrame):
    published = load_published_results(ROOT)
    own = published[(published["paper"] == PAPER) & (published["ours_or_prior"] == "this")]
    own = own[~own["metric"].isin(EXCLUDED)]
    assert len(own) == 44
    counts = declared.groupby(KEY).size()
    missing = [tuple(row) for row in own[KEY].itertuples(index=False) if counts.get(tuple(row), 0) != 1]
    assert missing == []


def test_every_claim_of_the_paper_finds_its_scores(declared: pd.DataFrame):
    rows = declared.assign(study=PAPER, source="run", unit="percent", print="printed", value=range(len(declared)))
    table = ScoreTable.from_rows(rows[[*IDENTITY, "unit", "value", "print"]], "print")
    claims = [claim for claim in load_claims(ROOT).claims if claim.paper == PAPER]
    verdicts = [judge_published(claim, table) for claim in claims]
    assert len(verdicts) == 34
    assert [(v.claim.id, v.reason) for v in verdicts if v.verdict == "not_evaluable"] == []


@pytest.fixture(scope="module")
def paper() -> dict[str, Any]:
    settings: dict[str, Any] = load_yaml(ROOT / "results" / "published" / "protocols.yaml")
    return dict(settings["papers"][PAPER] if "papers" in settings else settings[PAPER])


def value(paper: dict[str, Any], *path: str) -> Any:
    for name in path:
        paper = paper[name]
    return paper["value"]


def test_pre_training_is_as_published(jobs: dict[str, tuple[PretrainJob, EvaluateJob]], paper: dict[str, Any]):
    for name in ("fonseca_resnet18", "fonseca_vgg_like", "fonseca_crnn"):
        job, training = jobs[name][0], jobs[name][0].training
        assert job.audio_of == "fsdnoisy18k_noisy"
        assert (training.optimizer, training.batch_size) == ("sgd", value(paper, "pretraining", "batch_size"))
        assert training.epochs == value(paper, "pretraining", "epochs") == 500
        for setting in ("lr", "momentum", "weight_decay"):
            assert getattr(training, setting) == value(paper, "pretraining", setting)
        assert [round(500 * place) for place in training.milestones] == [325, 425]
        assert training.gamma == 0.1
        assert job.method_config["temperature"] == value(paper, "pretraining", "temperature")
        assert job.method_config["mix_back"] == {
            "alpha": value(paper, "mix_back", "alpha_best_with_energy"),
            "adjust_energy": True,
        }
        assert tuple(job.method_config["policy"]) == ("resized_crop", "compression", "noise")
        assert (job.method_config["distance"], job.method_config["head"]) == (None, "mlp")
        assert job.encoder_config["width"] == 1.0
        assert job.encoder_config["frontend"]["n_mels"] == value(paper, "front_end", "mel_bands")
        assert (job.encoder_config["frames"] - 1) * FONSECA2021.hop == pytest.approx(FONSECA2021.sample_rate, rel=0.01)
    without = jobs["fonseca_no_energy"][0].method_config["mix_back"]
    assert without == {"alpha": value(paper, "mix_back", "alpha_best_without_energy"), "adjust_energy": False}


def test_evaluation_is_as_published(jobs: dict[str, tuple[PretrainJob, EvaluateJob]], paper: dict[str, Any]):
    pretrained, scored = jobs["fonseca_resnet18"]
    knn = scored.protocols["knn"]
    assert knn.neighbours == (value(paper, "evaluation", "knn_k"),)
    assert (knn.head, knn.feature, knn.remainder) == ("intra_knn", "z", "drop")
    assert round(knn.hop * 22_050) == 50 * FONSECA2021.hop
    assert pretrained.probe is not None
    assert (pretrained.probe.every, pretrained.probe.last, pretrained.probe.select) == (None, 50, True)
    assert pretrained.probe.protocol == knn, "the probe measures by the protocol that is reported"
    rates = {
        "linear": 0.1,  # the paper states none; the released configuration does
        "fine_tune": value(paper, "supervised_stage", "lr_pretrained"),
        "scratch": value(paper, "supervised_stage", "lr_from_scratch"),
    }
    protocols = {**scored.protocols, "scratch": jobs["fonseca_scratch_crnn"][1].protocols["scratch"]}
    for name, rate in rates.items():
        protocol, training = protocols[name], protocols[name].training
        assert (training["optimizer"], training["momentum"], training["weight_decay"]) == ("sgd", 0.9, 1e-4)
        assert training["batch_size"] == value(paper, "supervised_stage", "batch_size")
        assert training["epochs"] == value(paper, "supervised_stage", "epochs") == 200
        assert [round(200 * place) for place in training["milestones"]] == [80, 160]
        assert (training["lr"], protocol.select, protocol.hop) == (rate, "best_valid", knn.hop)
        assert protocol.method_config == {"gain_db": 0.0, "mix": 0.0, "short": "tile"}
        assert protocol.freeze == ("all" if name == "linear" else "none")
        assert protocol.start == ("random" if name == "scratch" else "pretrained")


def test_the_released_validation_is_a_variant_and_nothing_else_differs(
    jobs: dict[str, tuple[PretrainJob, EvaluateJob]],
):
    for run, name in (("fonseca_resnet18", "fine_tune"), ("fonseca_scratch_resnet18", "scratch")):
        protocols = jobs[run][1].protocols
        released, own = protocols[f"{name}_as_released"], protocols[name]
        assert (released.variant, released.select_on, released.tasks) == (
            "as_released",
            "train_and_valid",
            ("fsdnoisy18k_clean",),
        )
        changes = {"variant": "", "select_on": "valid", "tasks": own.tasks}
        assert released.model_copy(update=changes) == own


def test_data_are_as_published(paper: dict[str, Any]):
    dataset = registry.load("dataset", "fsdnoisy18k")
    stated = paper["datasets"]["fsdnoisy18k"]
    clips = {part: stated[part]["value"]["clips"] for part in ("clean_train", "noisy_train", "test")}
    assert list(clips.values()) == [dataset.expected_splits[part] for part in ("train_clean", "train_noisy", "test")]
    assert registry.load("task", "fsdnoisy18k_noisy").expected_training == clips["noisy_train"]


def test_ablations_are_deltas_that_the_profile_switches_on(planner: Planner):
    study = next(entry.study for entry in planner.entries if entry.study.id == PAPER)
    ablations = {name for name, run in study.runs.items() if run.ablation}
    assert len(ablations) == 28
    main = study.runs["fonseca_resnet18"]
    for name in ablations:
        run = study.runs[name]
        assert run.variant != "default"
        assert (run.encoder, run.audio_of, run.probe, run.training) == (
            main.encoder,
            main.audio_of,
            main.probe,
            main.training,
        )
    off = planner.profile.model_copy(update={"ablations": False})
    names = {entry.family for entry in planner.entries}
    assert names - {entry.family for entry in entries(planner.workspace.root, off, "test")} == ablations
