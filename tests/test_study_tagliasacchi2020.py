"""The study of tagliasacchi2020 against what its paper states, prints and claims."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from benchmark.artifacts import write_json
from benchmark.config import load_params, parse_yaml
from benchmark.jobs import EvaluateJob, PretrainJob
from benchmark.plan import Planner, active_stages
from benchmark.published.results import load_settings, read_published_results
from benchmark.selection import select_profile
from benchmark.statistics import convergence
from benchmark.studies import load_study
from benchmark.workspace import Workspace

ROOT = Path(__file__).parent.parent
STUDY = "tagliasacchi2020"
SELF_SUPERVISED = {
    "audio2vec_cbow": "audio2vec",
    "audio2vec_skipgram": "audio2vec",
    "autoencoder": "autoencoder",
    "temporal_gap": "temporal_gap",
    "triplet_loss": "triplet_loss",
    "arrow_of_time": "arrow_of_time",
}
CONVERGES = "tagliasacchi2020-audio2vec-converges-faster"
"""The one claim that is not about normalised accuracies."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    """The paper profile, narrowed to the study, as if all data were there."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "studies").symlink_to(ROOT / "studies")
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    select_profile(root, "paper", [STUDY])
    workspace = Workspace(root, "paper")
    for corpus in active_stages(root, load_params(root), "paper", [STUDY])["corpora"]:
        dataset, rate = corpus.rsplit("-", 1)
        facts = {"status": "ok", "fingerprint": corpus, "standin": False}
        write_json(workspace.manifest(dataset, int(rate)), facts)
    return Planner(workspace, load_params(root), [STUDY])


@pytest.fixture(scope="module")
def pretrain(plan: Planner) -> dict[str, PretrainJob]:
    return {job.run: job for job in plan.pretrain_jobs()}


@pytest.fixture(scope="module")
def evaluations(plan: Planner) -> list[EvaluateJob]:
    return list(plan.evaluate_jobs())


@pytest.fixture(scope="module")
def stated() -> Any:
    """What the paper says of its own settings."""
    return parse_yaml((ROOT / "results" / "published" / "protocols.yaml").read_text())[STUDY]


def test_pre_training_is_as_stated(pretrain: dict[str, PretrainJob], stated: Any):
    said = stated["pretraining"]
    for run, name in [*SELF_SUPERVISED.items(), ("supervised_audioset", "supervised_audioset")]:
        job = pretrain[run]
        training = job.training
        assert training.lr == said["lr"]["value"][name], run
        assert (training.batch_size, training.steps) == (said["batch_size"]["value"], said["steps"]["value"]), run
        assert (training.optimizer, training.schedule, training.weight_decay) == ("adam", "constant", 0.0), run
        assert [ref.dataset for ref in job.sources] == ["audioset"]
        assert job.seed == 0
    assert pretrain["supervised_audioset"].labels == "audioset"
    for run in ("audio2vec_cbow", "audio2vec_skipgram"):
        config = pretrain[run].method_config
        assert (config["context"], config["gap"]) == (
            said["audio2vec"]["value"]["P"],
            said["audio2vec"]["value"]["gap_frames"],
        )
    gap = said["temporal_gap"]["value"]
    assert pretrain["temporal_gap"].method_config["hidden"] == gap["hidden_layer"]
    assert pretrain["temporal_gap"].method_config["loss"] == "cross_entropy"


def test_the_encoder_and_its_front_end_are_as_stated(plan: Planner, pretrain: dict[str, PretrainJob], stated: Any):
    front, encoder = stated["front_end"], stated["encoder"]
    for run in [*SELF_SUPERVISED, "supervised_audioset", "untrained_audioset", "a2v_scratch"]:
        config = pretrain[run].encoder_config
        rate = front["sample_rate_hz"]["value"]
        assert config["frontend"]["sample_rate"] == rate
        assert config["frontend"]["win_length"] == rate * front["window_ms"]["value"] // 1000
        assert config["frontend"]["hop"] == rate * front["hop_ms"]["value"] // 1000
        assert config["frontend"]["n_mels"] == front["mel_bands"]["value"]
        assert [config["frontend"]["f_min"], config["frontend"]["f_max"]] == front["mel_range_hz"]["value"]
        assert config["frames"] == stated["crop"]["slice_frames"]["value"]
        assert (config["embedding"], config["embedding_size"]) == ("linear", encoder["embedding_size"]["value"])
        assert config["width"] == 1.0
        assert plan.resolved[run].parameters == 4_567_104  # computed from the paper's channels, without bias
    from methods.encoders.tagliasacchi_cnn import CHANNELS

    assert list(CHANNELS) == encoder["channels"]["value"]


def test_downstream_training_is_as_stated(evaluations: list[EvaluateJob], stated: Any):
    said, replicas = stated["downstream"], stated["evaluation"]["replicas"]["value"]
    protocols = {name: protocol for job in evaluations for name, protocol in job.protocols.items()}
    linear = protocols["linear"]
    assert (linear.head, linear.lr, linear.steps) == ("adam", said["lr"]["value"], said["steps"]["value"])
    for name in ("fine_tune", "scratch"):
        training = protocols[name].training
        assert (training["optimizer"], training["lr"]) == ("adam", said["lr"]["value"])
        assert training["steps"] == said["steps"]["value"]
        assert protocols[name].freeze == "none"
    assert protocols["scratch"].start == "random"
    for name in ("linear", "fine_tune", "scratch"):
        protocol = protocols[name]
        assert (protocol.unit, protocol.replicas) == ("slice", replicas)
        assert protocol.train_sizes == ("full", 1000, "1000-total")
        assert protocol.short_classes == "whole"


def test_the_tasks_have_as_many_classes_as_stated(evaluations: list[EvaluateJob], stated: Any):
    classes = {ref.task: len(ref.record["classes"]) for job in evaluations for ref in job.tasks}
    said = {name: facts["value"] for name, facts in stated["datasets"].items()}
    assert classes["speech_commands_v2"] == said["speech_commands"]["keywords"]
    assert classes["librispeech_speaker"] == said["librispeech_speaker"]["speakers"]
    assert classes["spoken_language_id"] == len(said["spoken_language_id"]["languages"])
    assert classes["musan"] == len(said["musan"]["classes"])
    assert classes["nsynth_instrument"] == said["nsynth_family"]["classes"]
    assert classes["tut2018_scenes"] == said["tut2018_scenes"]["classes"]
    assert classes["nsynth_pitch"] <= said["nsynth_pitch"]["classes"]


def test_what_a_step_costs_counts_every_slice_and_the_decoder(plan: Planner):
    windows = {run: plan.resolved[run].views for run in SELF_SUPERVISED}
    assert windows == {
        "audio2vec_cbow": 5,
        "audio2vec_skipgram": 2,
        "autoencoder": 2,
        "temporal_gap": 2,
        "triplet_loss": 2,
        "arrow_of_time": 1,
    }


def test_the_supervised_encoder_has_a_classifier_of_all_audioset_classes(plan: Planner):
    resolved = plan.resolved["supervised_audioset"]
    assert resolved.trained_parameters - resolved.parameters == (128 + 1) * 527


def declared(evaluations: list[EvaluateJob], settings: Any) -> Iterator[tuple[str, ...]]:
    """Method, encoder, data, variant, task, protocol, train size and metric of every score that the plan asks for."""
    study = load_study(ROOT, STUDY)
    ids = study.published_ids
    for job in evaluations:
        tasks = {ref.task for ref in job.tasks}
        normalised = study.runs[job.run].supervised.keys()
        tasks |= {name for name, members in settings.task_groups.items() if set(members) <= tasks}
        encoder = ids["encoder"].get(job.encoder, job.encoder)
        for task, (name, protocol) in product(tasks, job.protocols.items()):
            metrics = ["accuracy"]
            if set(settings.task_groups.get(task, (task,))) <= normalised:
                metrics.append("normalized_accuracy")
            for size, metric in product(protocol.train_sizes, metrics):
                label = ids["train_size"].get(str(size), str(size))
                yield job.method, encoder, job.pretrain_dataset, job.variant, task, name, label, metric


def test_every_printed_number_is_a_declared_score(evaluations: list[EvaluateJob]):
    settings = load_settings(ROOT)
    scores = list(declared(evaluations, settings))
    printed = [result for result in read_published_results(ROOT, settings) if result.paper == STUDY]
    assert len(printed) == 31
    for result in printed:
        key = (result.method, result.encoder, result.pretrain_dataset, result.variant, result.task, result.protocol)
        assert scores.count((*key, result.train_size, result.metric)) == 1, result.place


@pytest.fixture(scope="module")
def claims() -> dict[str, Any]:
    """What the paper's claims need, by id."""
    own = parse_yaml((ROOT / "results" / "published" / "claims.yaml").read_text())["claims"]
    return {claim["id"]: claim["needs"] for claim in own if claim["paper"] == STUDY}


def test_the_claim_about_convergence_finds_curves(evaluations: list[EvaluateJob], claims: dict[str, Any]):
    """Of fine-tuning and of training from scratch, at the same steps and to the same length."""
    needs = claims[CONVERGES]
    assert (needs["methods"], needs["metrics"]) == (["audio2vec_cbow", "scratch"], [convergence.METRIC])
    [tuned] = [job for job in evaluations if job.run == "audio2vec_cbow"]
    [scratch] = [job for job in evaluations if job.run == "a2v_scratch"]
    assert [tuned.method, scratch.method] == needs["methods"]
    for job, protocol in ((tuned, tuned.protocols["fine_tune"]), (scratch, scratch.protocols["scratch"])):
        assert set(needs["tasks"]) <= {ref.task for ref in job.tasks}
        assert "full" in protocol.train_sizes
        assert (protocol.curve_every, protocol.tuning.steps) == (1000, 100_000)


def test_every_other_claim_selects_declared_scores(evaluations: list[EvaluateJob], claims: dict[str, Any]):
    scores = set(declared(evaluations, load_settings(ROOT)))
    assert len(claims) == 30
    for claim, needs in claims.items():
        if claim == CONVERGES:
            continue
        assert needs["metrics"] == ["normalized_accuracy"]
        variants = needs.get("variants", ["default"])
        sizes = needs.get("train_sizes", ["full"])
        wanted = product(needs["methods"], needs["encoders"], needs["tasks"], needs["protocols"], sizes, variants)
        for method, encoder, task, protocol, size, variant in wanted:
            key = (method, encoder, "audioset", variant, task, protocol, size, "normalized_accuracy")
            assert key in scores, f"{claim}: {key}"
