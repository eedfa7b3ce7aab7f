from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmark import registry
from benchmark.artifacts import write_json
from benchmark.columns import PREDICTION_COLUMNS, SCORE_COLUMNS
from benchmark.config import Machine, Protocol
from benchmark.corpus.splits import SPLIT_SEED, folds
from benchmark.corpus.store import Corpus
from benchmark.errors import CorruptArtifactError, StaleArtifactError
from benchmark.evaluation import stage
from benchmark.evaluation.stage import evaluate
from benchmark.jobs import CorpusRef, EvaluateJob, TaskRef
from benchmark.pretraining.export import Part, build_encoder, export_part, write_part
from benchmark.records import Task
from benchmark.seeding import isolated_torch_seed
from benchmark.statistics.cells import CellKey
from benchmark.statistics.inputs import read_evaluation
from benchmark.workspace import Workspace
from tests.pretraining.toys import RATE, tone, toy_clips, write_corpus

ENCODER = {"width": 0.0625, "frames": 16}
NETWORK = "tagliasacchi_cnn"
CLASSES = ("dog", "rain")
LINEAR = Protocol(head="converged", regularisers=(0.01, 1.0))
KNN = Protocol(head="knn", neighbours=(1, 3))
FINGERPRINT: list[str] = []


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a corpus of two classes of tones in five folds."""
    root = tmp_path_factory.mktemp("project")
    clips = toy_clips(60, "esc50").assign(
        fold=[str(1 + n // 2 % 5) for n in range(60)],
        category=[CLASSES[n % 2] for n in range(60)],
        tags=["" if n % 7 == 6 else "dog|rain" if n % 7 == 5 else CLASSES[n % 2] for n in range(60)],
        esc10=True,
        few=np.arange(60) < 40,
    )
    audio = [tone(250 if n % 2 else 2000, 4000, n) for n in range(60)]
    corpus = write_corpus(Workspace(root, "test").corpus("esc50", RATE), "esc50", clips, audio)
    FINGERPRINT[:] = [corpus.fingerprint]
    return root


@pytest.fixture
def workspace(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The project with a build folder and a cache of its own, and a run of one part."""
    (tmp_path / "data").symlink_to(root / "data")
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    workspace = Workspace(tmp_path, "test")
    write_run(workspace, [part("all")])
    return workspace


def part(name: str, fold: str | None = None, step: int | None = None, seed: int = 0, head: bool = False) -> Part:
    """A network with seeded weights."""
    with isolated_torch_seed(seed, "encoder"):
        encoder = build_encoder(NETWORK, ENCODER).eval()
        classifier = nn.Linear(encoder.embedding_size, len(CLASSES)) if head else None
    return export_part(encoder, NETWORK, ENCODER, part=name, fold=fold, step=step, job="job", head=classifier)


def write_run(workspace: Workspace, parts: list[Part], **changes: str) -> None:
    folder = workspace.run("run-0")
    shutil.rmtree(folder, ignore_errors=True)
    listed = [
        {"part": p.part, "file": write_part(folder, p).name, "fold": p.fold, "step": p.step, "weights": p.weights}
        for p in parts
    ]
    write_json(folder / "run.json", {"status": "ready", "reason": "", "parts": listed, **changes})


def task_ref(absent: str = "", missing: str = "") -> TaskRef:
    corpus = CorpusRef(dataset="esc50", rate=RATE, fingerprint=FINGERPRINT[0], standin=True, absent=absent)
    record = {**asdict(registry.load("task", "esc10")), "classes": CLASSES}
    return TaskRef(task="esc10", record=record, corpus=corpus, missing=missing)


def other_ref(**record: Any) -> TaskRef:
    """A task of the same clips."""
    task = Task(id="other", title="Other", dataset="esc50", fold_column="fold", **record)
    return task_ref().model_copy(update={"task": "other", "record": {**asdict(task), "classes": CLASSES}})


def make_job(**changes: Any) -> EvaluateJob:
    settings: dict[str, Any] = {
        "study": "s",
        "profile": "test",
        "run": "run",
        "name": "run-0",
        "method": "untrained",
        "encoder": NETWORK,
        "seed": 0,
        "machine": Machine(threads=1),
        "code": "c",
        "versions": {},
        "pretrain_dataset": "none",
        "variant": "default",
        "transductive": False,
        "tasks": (task_ref(),),
        "protocols": {"linear": LINEAR, "knn": KNN},
        "snapshot_protocol": "linear",
    }
    return EvaluateJob(**{**settings, **changes})


def scores(workspace: Workspace) -> pd.DataFrame:
    return pd.read_csv(workspace.evaluation("run-0") / "scores.csv", keep_default_na=False, dtype={"fold": str})


def outputs(workspace: Workspace) -> dict[str, bytes]:
    folder = workspace.evaluation("run-0")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def count_calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    calls: list[str] = []
    original = getattr(stage, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    monkeypatch.setattr(stage, name, counted)
    return calls


def test_a_run_leaves_scores_predictions_and_diagnostics(workspace: Workspace) -> None:
    evaluate(make_job(), workspace)
    assert sorted(outputs(workspace)) == ["curves.csv", "diagnostics.json", "predictions.parquet", "scores.csv"]
    table = scores(workspace)
    assert list(table.columns) == SCORE_COLUMNS
    assert set(table["status"]) == {"ok"}
    assert table[(table["protocol"] == "linear") & (table["fold"] == "mean")]["value"].min() > 0.9
    assert set(table["fold"]) == {"1", "2", "3", "4", "5", "mean"}
    assert set(table["data_hash"]) == set(FINGERPRINT)
    assert table["weights_hash"].nunique() == 1


def test_means_average_the_folds(workspace: Workspace) -> None:
    evaluate(make_job(), workspace)
    keys = ["protocol", "metric", "unit"]
    table = scores(workspace)
    for key, group in table.groupby(keys):
        of_fold, mean = group[group["fold"] != "mean"], group[group["fold"] == "mean"].iloc[0]
        assert mean["value"] == pytest.approx(of_fold["value"].mean()), key
        assert mean["n"] == of_fold["n"].sum() == 60


def test_official_folds_are_kept_and_each_clip_is_predicted_once(workspace: Workspace) -> None:
    evaluate(make_job(), workspace)
    table = pd.read_parquet(workspace.evaluation("run-0") / "predictions.parquet")
    assert list(table.columns) == PREDICTION_COLUMNS
    corpus = Corpus.open(workspace.corpus("esc50", RATE))
    official = dict(zip(corpus.clips["clip_id"], corpus.clips["fold"], strict=True))
    for _, predictions in table.groupby("protocol"):
        assert predictions["clip_id"].is_unique
        assert len(predictions) == 60
        assert (predictions["clip_id"].map(official) == predictions["fold"]).all()


def test_scores_follow_from_the_kept_predictions(workspace: Workspace) -> None:
    evaluate(make_job(), workspace)
    table, kept = scores(workspace), pd.read_parquet(workspace.evaluation("run-0") / "predictions.parquet")
    for (protocol, fold), group in kept.groupby(["protocol", "fold"]):
        row = table[(table["protocol"] == protocol) & (table["fold"] == fold) & (table["metric"] == "accuracy")]
        assert row["value"].item() == pytest.approx((group["label"] == group["prediction"]).mean())


def test_two_runs_from_scratch_give_the_same_bytes(workspace: Workspace) -> None:
    evaluate(make_job(), workspace)
    first = outputs(workspace)
    shutil.rmtree(workspace.cache)
    evaluate(make_job(), workspace)
    assert outputs(workspace) == first


def test_a_killed_stage_goes_on_where_it_was(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(make_job(), workspace)
    expected = outputs(workspace)
    shutil.rmtree(workspace.cache)
    original = stage.run_protocol

    def killed(protocol: Protocol, *args: Any) -> Any:
        if protocol.head == "knn":
            raise KeyboardInterrupt
        return original(protocol, *args)

    with monkeypatch.context() as patch:
        patch.setattr(stage, "run_protocol", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate(make_job(), workspace)
    embeds, cells = count_calls(monkeypatch, "embed"), count_calls(monkeypatch, "run_protocol")
    evaluate(make_job(), workspace)
    assert (len(embeds), len(cells)) == (0, 1)
    assert outputs(workspace) == expected


def test_a_new_protocol_costs_only_its_own_cell(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(make_job(protocols={"linear": LINEAR}), workspace)
    embeds, cells = count_calls(monkeypatch, "embed"), count_calls(monkeypatch, "run_protocol")
    evaluate(make_job(), workspace)
    assert (len(embeds), len(cells)) == (0, 1)


@pytest.mark.parametrize("what", ["weights", "code", "machine", "task version"])
def test_other_content_never_reuses_results(what: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(make_job(), workspace)
    embeds, cells = count_calls(monkeypatch, "embed"), count_calls(monkeypatch, "run_protocol")
    changes: dict[str, Any] = {}
    if what == "weights":
        write_run(workspace, [part("all", seed=1)])
    elif what == "code":
        changes["code"] = "d"
    elif what == "machine":
        changes["machine"] = Machine(threads=2)
    else:
        ref = task_ref()
        changes["tasks"] = (ref.model_copy(update={"record": {**ref.record, "version": 2}}),)
    evaluate(make_job(**changes), workspace)
    assert len(cells) == 2
    assert len(embeds) == (0 if what == "task version" else 1)


def test_another_head_never_reuses_results(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The classifier's weights are part of what a cell was made from, although the encoder's are the same."""
    own = {"own": Protocol(head="own", unit="slice")}
    with_head = part("fold-1", fold="1", head=True)
    write_run(workspace, [with_head])
    evaluate(make_job(protocols=own), workspace)
    with_head.arrays["head.weight"][:] *= -1
    with_head.arrays["head.bias"][:] *= -1
    write_run(workspace, [with_head])
    cells = count_calls(monkeypatch, "run_protocol")
    evaluate(make_job(protocols=own), workspace)
    assert len(cells) == 1


def test_parts_of_a_fold_score_only_their_fold(workspace: Workspace) -> None:
    write_run(workspace, [part(f"fold-{n}", fold=str(n), seed=n, head=True) for n in range(1, 6)])
    evaluate(make_job(protocols={"own": Protocol(head="own", unit="slice")}), workspace)
    table = scores(workspace)
    clips = table[(table["unit"] == "clip") & (table["metric"] == "accuracy")]
    assert clips["fold"].tolist() == ["1", "2", "3", "4", "5", "mean"]
    assert clips["weights_hash"].nunique() == 6  # the mean's stands for all five


@pytest.mark.parametrize(("protocols", "each"), [({"own": Protocol(head="own", unit="slice")}, 12), ({"knn": KNN}, 60)])
def test_a_part_with_its_own_classifier_embeds_only_the_test_clips_of_its_fold(
    protocols: dict[str, Protocol], each: int, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: list[int] = []
    original = stage.embed

    def counted(encoder: Any, corpus: Any, rows: Any, *args: Any) -> Any:
        embedded.append(len(rows))
        return original(encoder, corpus, rows, *args)

    monkeypatch.setattr(stage, "embed", counted)
    write_run(workspace, [part(f"fold-{n}", fold=str(n), seed=n, head=True) for n in range(1, 6)])
    evaluate(make_job(protocols=protocols), workspace)
    assert embedded == [each] * 5
    kept = pd.read_parquet(workspace.evaluation("run-0") / "predictions.parquet")
    assert kept["clip_id"].is_unique
    assert len(kept) == 60
    official = Corpus.open(workspace.corpus("esc50", RATE)).clips.set_index("clip_id")
    assert (kept["clip_id"].map(official["fold"]) == kept["fold"]).all()
    assert (kept["clip_id"].map(official["category"]).map(CLASSES.index) == kept["label"]).all()


def test_several_ranks_embed_all_that_is_scored_before_the_first_trains_heads(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ranks leave each other after embedding, so nothing may be left to embed then."""
    write_run(workspace, [part("fold-1", fold="1", head=True), part("all"), part("all-step4", step=4, seed=2)])
    evaluate(make_job(), workspace)
    alone = outputs(workspace)
    shutil.rmtree(workspace.cache)
    together, embedded = stage.Evaluation.embed_together, count_calls(monkeypatch, "embed")
    before_heads: list[int] = []

    def counted(self: Any, parts: Any) -> None:
        monkeypatch.setattr(stage, "world_size", lambda: 2)
        together(self, parts)
        before_heads.append(len(embedded))

    monkeypatch.setattr(stage.Evaluation, "embed_together", counted)
    evaluate(make_job(), workspace)
    assert before_heads == [len(embedded)]
    assert embedded
    assert outputs(workspace) == alone


def test_snapshots_are_scored_under_one_protocol_only(workspace: Workspace) -> None:
    write_run(workspace, [part("all"), part("all-step4", step=4, seed=2)])
    evaluate(make_job(), workspace)
    table = scores(workspace)
    assert set(table.loc[table["variant"] == "step=4", "protocol"]) == {"linear"}
    assert set(table["variant"]) == {"default", "step=4"}
    assert set(pd.read_parquet(workspace.evaluation("run-0") / "predictions.parquet")["variant"]) == {"default"}
    evaluate(make_job(variant="w=2"), workspace)
    assert set(scores(workspace)["variant"]) == {"w=2", "w=2;step=4"}


def test_transductive_scores_are_flagged(workspace: Workspace) -> None:
    evaluate(make_job(transductive=True), workspace)
    said = "transductive: pre-training saw the source or the samples of 0 of 60 test clips"
    assert set(scores(workspace)["reason"]) == {said}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "not run", "reason": "no data"}, "no data"),
        ({"absent": "esc50 is not here"}, "esc50 is not here"),
        ({"missing": "a class is missing"}, "a class is missing"),
    ],
)
def test_what_was_not_run_says_why(changes: dict[str, str], reason: str, workspace: Workspace) -> None:
    tasks = (task_ref(changes.pop("absent", ""), changes.pop("missing", "")),)
    evaluate(make_job(tasks=tasks, **changes), workspace)
    table = scores(workspace)
    assert set(table["status"]) == {"not run"}
    assert set(table["reason"]) == {reason}
    assert set(table["value"]) == {""}
    assert set(table["protocol"]) == {"linear", "knn"}


def test_stale_and_damaged_inputs_are_one_sentence(workspace: Workspace) -> None:
    ref = task_ref()
    stale = ref.model_copy(update={"corpus": ref.corpus.model_copy(update={"fingerprint": "other"})})
    with pytest.raises(StaleArtifactError):
        evaluate(make_job(tasks=(stale,)), workspace)
    evaluate(make_job(), workspace)
    entry = next((workspace.cache / "cells").glob("*.safetensors"))
    entry.write_bytes(entry.read_bytes()[:-8])
    with pytest.raises(CorruptArtifactError, match="delete it"):
        evaluate(make_job(), workspace)


def test_the_batch_norm_of_a_frozen_encoder_does_not_move(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[nn.Module, dict[str, torch.Tensor]]] = []
    original = stage.embed

    def watched(encoder: Any, *args: Any) -> Any:
        seen.append((encoder, {name: value.clone() for name, value in encoder.state_dict().items()}))
        return original(encoder, *args)

    monkeypatch.setattr(stage, "embed", watched)
    evaluate(make_job(), workspace)
    encoder, before = seen[0]
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_validation_and_test_parts_are_disjoint(workspace: Workspace) -> None:
    corpus = Corpus.open(workspace.corpus("esc50", RATE))
    for fold in folds(registry.load("task", "esc10"), corpus.clips, SPLIT_SEED):
        parts = [set(np.concatenate([fold.train, fold.valid])), set(fold.test)]
        assert not parts[0] & parts[1]


@pytest.mark.parametrize(("present", "added"), [("esc10", "few"), ("few", "esc10"), ("esc10", None)])
def test_a_new_task_costs_only_its_own_cells(
    present: str, added: str | None, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where it takes other clips of the same corpus; where it takes the same, nothing is embedded again."""
    old, new = (
        task_ref().model_copy(update={"task": name, "record": {**task_ref().record, "id": name, "only": only}})
        for name, only in (("old", present), ("new", added))
    )
    evaluate(make_job(tasks=(old,)), workspace)
    before = scores(workspace)
    embedded, scored = count_calls(monkeypatch, "embed"), count_calls(monkeypatch, "run_protocol")
    evaluate(make_job(tasks=(old, new)), workspace)
    assert len(scored) == 2
    assert len(embedded) == (1 if added else 0)
    after = scores(workspace)
    pd.testing.assert_frame_equal(after[after["task"] == "old"].reset_index(drop=True), before)


@pytest.mark.parametrize("kind", ["embeddings", "cells"])
def test_a_damaged_cache_entry_is_one_sentence(kind: str, workspace: Workspace) -> None:
    evaluate(make_job(), workspace)
    entry = min((workspace.cache / kind).glob("*.safetensors"))
    content = bytearray(entry.read_bytes())
    content[-1] ^= 1
    entry.write_bytes(content)
    with pytest.raises(CorruptArtifactError, match=r"fails its checksum; delete it and run the same command again\.$"):
        evaluate(make_job(), workspace)


@pytest.mark.parametrize("metric", ["map", "lwlrap", "mauc"])
def test_several_labels_are_scored_and_paired_by_source(workspace: Workspace, metric: str) -> None:
    ref = other_ref(label="tags", kind="multi", metric=metric)
    evaluate(make_job(tasks=(ref,), protocols={"linear": LINEAR}), workspace)
    table = scores(workspace)
    assert set(table["metric"]) == {"map", "auc", "mauc", "dprime", "lwlrap"}
    own = table[(table["metric"] == metric) & (table["fold"] == "mean")]
    assert float(own["value"].iloc[0]) > 0.8
    cell = read_evaluation(workspace, "run-0", {"other": metric}).cells[CellKey("other", "linear", "full")]
    assert cell.accuracy == pytest.approx(float(own["value"].iloc[0]), abs=1e-6)
    assert cell.clips == 60
    predictions = pd.read_parquet(workspace.evaluation("run-0") / "predictions.parquet")
    assert set(predictions["label"]) == {-1}
    with pytest.raises(StaleArtifactError, match="disagree"):
        read_evaluation(workspace, "run-0", {})


def test_a_cached_cell_of_several_labels_gives_the_same_bytes(workspace: Workspace) -> None:
    job = make_job(tasks=(other_ref(label="tags", kind="multi", metric="map"),))
    evaluate(job, workspace)
    first = outputs(workspace)
    evaluate(job, workspace)
    assert outputs(workspace) == first


def test_single_classes_are_scored_where_the_protocol_asks(workspace: Workspace) -> None:
    plain, detailed = make_job(protocols={"linear": LINEAR}), LINEAR.model_copy(update={"details": True})
    evaluate(plain, workspace)
    without = scores(workspace)
    evaluate(make_job(protocols={"linear": detailed}), workspace)
    table = scores(workspace)
    details = table[table["variant"] != "default"]
    assert set(details["variant"]) == {
        f"fold={fold};{what}"
        for fold in range(1, 6)
        for what in ("class=dog", "class=rain", "true=dog;predicted=rain", "true=rain;predicted=dog")
    }
    assert set(details["metric"]) == {"precision", "recall", "f1", "confusion_rate"}
    one = details[details["variant"] == "fold=1;class=dog"].set_index("metric")["value"].astype(float)
    missed = details[details["variant"] == "fold=1;true=dog;predicted=rain"]["value"].astype(float).iloc[0]
    assert one["recall"] == pytest.approx(1 - missed)
    rest = table[table["variant"] == "default"].drop(columns="protocol_hash").reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, without.drop(columns="protocol_hash"))


FINE_TUNE = Protocol(head="fine_tune", unit="slice", training={"steps": 2, "batch_size": 8, "lr": 1e-3})


def test_fine_tuning_is_scored_beside_frozen_heads(workspace: Workspace) -> None:
    evaluate(make_job(protocols={"linear": LINEAR}), workspace)
    before = scores(workspace)
    job = make_job(protocols={"fine_tune": FINE_TUNE, "linear": LINEAR}, fine_tuning_code={"fine_tune": "f"})
    evaluate(job, workspace)
    table = scores(workspace)
    kept = table[table["protocol"] == "linear"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)
    tuned = table[table["protocol"] == "fine_tune"]
    assert set(tuned["fold"]) == {"1", "2", "3", "4", "5", "mean"}
    assert set(tuned["unit"]) == {"clip", "slice"}
    assert set(tuned["status"]) == {"ok"}
    assert len(list((workspace.cache / "fine_tuned").glob("*.safetensors"))) == 5
    first = outputs(workspace)
    evaluate(job, workspace)
    assert outputs(workspace) == first


def test_weights_chosen_on_training_clips_are_a_flagged_variant(workspace: Workspace) -> None:
    changes = {"select": "best_valid", "select_on": "train_and_valid", "variant": "as_released"}
    protocols = {"fine_tune": FINE_TUNE, "released": FINE_TUNE.model_copy(update=changes)}
    evaluate(make_job(protocols=protocols, fine_tuning_code=dict.fromkeys(protocols, "f")), workspace)
    said = scores(workspace).fillna("").groupby("protocol")[["variant", "reason"]].agg(set)
    assert said.loc["released"].tolist() == [{"as_released"}, {"weights chosen on training clips too"}]
    assert said.loc["fine_tune"].tolist() == [{"default"}, {""}]


def test_the_code_behind_fine_tuning_is_in_the_key_of_its_cells_alone(workspace: Workspace) -> None:
    protocols = {"fine_tune": FINE_TUNE, "linear": LINEAR}
    evaluate(make_job(protocols=protocols, fine_tuning_code={"fine_tune": "f"}), workspace)
    embedded = sorted((workspace.cache / "embeddings").iterdir())
    evaluate(make_job(protocols=protocols, fine_tuning_code={"fine_tune": "g"}), workspace)
    assert sorted((workspace.cache / "embeddings").iterdir()) == embedded
    assert len(list((workspace.cache / "fine_tuned").glob("*.safetensors"))) == 10


def test_a_transductive_score_says_how_much_was_seen(workspace: Workspace) -> None:
    evaluate(make_job(transductive=True, seen=(task_ref().corpus,)), workspace)
    said = "transductive: pre-training saw the source or the samples of 60 of 60 test clips"
    assert set(scores(workspace)["reason"]) == {said}
