from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.columns import SCORE_COLUMNS
from benchmark.errors import CorruptArtifactError, StaleArtifactError
from benchmark.jobs import ReportJob
from benchmark.statistics.aggregate import aggregate
from benchmark.statistics.estimates import SATURATED
from benchmark.statistics.rows import AccuracyRow, read_rows, write_rows
from benchmark.workspace import Workspace
from tests.statistics.synthetic import REASON, Run, default_runs, write_run, write_workspace

Project = tuple[ReportJob, Workspace]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    job, workspace = write_workspace(tmp_path_factory.mktemp("project"))
    aggregate(job, workspace)
    return job, workspace


def table(workspace: Workspace, name: str) -> pd.DataFrame:
    return pd.read_csv(workspace.results / "scores" / f"{name}.csv")


def cell(rows: pd.DataFrame, run: str, task: str, protocol: str = "linear") -> pd.Series:
    found = rows[(rows["run"] == run) & (rows["task"] == task) & (rows["protocol"] == protocol)]
    assert len(found) == 1
    return found.iloc[0]


def test_scores_hold_every_row_sorted_as_written(project: Project):
    _, workspace = project
    scores = pd.read_csv(workspace.results / "scores" / "scores.csv", dtype=str, keep_default_na=False)
    assert list(scores.columns) == SCORE_COLUMNS
    parts = [
        pd.read_csv(path, dtype=str, keep_default_na=False) for path in workspace.build.glob("evaluations/*/scores.csv")
    ]
    everything = pd.concat(parts).sort_values(SCORE_COLUMNS).reset_index(drop=True)
    pd.testing.assert_frame_equal(scores, everything)


def test_summary_repeats_the_scores(project: Project):
    _, workspace = project
    scores = table(workspace, "scores")
    final = scores[(scores["run"] == "simclr") & (scores["task"] == "esc10") & (scores["protocol"] == "linear")]
    final = final[final["variant"] == "default"]
    row = cell(table(workspace, "summary"), "simclr", "esc10")
    by_seed = final.groupby("pretrain_seed")["value"].mean()
    assert row["accuracy"] == pytest.approx(by_seed.mean(), abs=1e-6)
    assert [float(value) for value in row["by_seed"].split()] == pytest.approx(by_seed.tolist(), abs=1e-6)
    assert row["lower"] < row["accuracy"] < row["upper"]
    assert (row["seeds"], row["clips"], row["sources"], row["resampled"]) == (3, 60, 30, "seeds+sources")


def test_cells_that_were_not_run_keep_their_reason(project: Project):
    _, workspace = project
    row = cell(table(workspace, "summary"), "late", "esc10")
    assert (row["status"], row["reason"]) == ("not run", REASON)
    assert pd.isna(row["accuracy"])
    assert cell(table(workspace, "comparisons"), "late", "esc10")["reason"] == REASON


def test_comparisons_are_paired_and_adjusted(project: Project):
    _, workspace = project
    comparisons = table(workspace, "comparisons")
    summary = table(workspace, "summary")
    row = cell(comparisons, "simclr", "us8k")
    difference = cell(summary, "simclr", "us8k")["accuracy"] - cell(summary, "untrained", "us8k")["accuracy"]
    assert row["difference"] == pytest.approx(difference, abs=2e-6)
    assert row["lower"] < row["difference"] < row["upper"]
    assert row["p"] <= row["p_holm"] <= 1
    assert "shuffled" not in set(comparisons["protocol"])
    detectable = cell(summary, "simclr", "us8k")["minimum_detectable_difference"]
    assert detectable == row["minimum_detectable_difference"] > 0


def test_saturation_is_decided_without_pretraining(project: Project):
    _, workspace = project
    summary = table(workspace, "summary")
    best = summary[summary["role"].isin(["baseline", "untrained"]) & (summary["protocol"] == "linear")]
    best = best.groupby("task")["accuracy"].max()
    for task, accuracy in best.items():
        assert cell(summary, "simclr", str(task))["saturated"] == (accuracy >= SATURATED)
    assert cell(summary, "simclr", "fsdd_speaker")["saturated"]


def test_normalised_accuracy_uses_the_supervised_protocol(project: Project):
    _, workspace = project
    row = cell(table(workspace, "normalised"), "simclr", "esc10")
    assert row["supervised_protocol"] == "scratch"
    assert row["value"] == pytest.approx(
        (row["accuracy"] - row["untrained"]) / (row["supervised"] - row["untrained"]), abs=1e-4
    )
    absent = cell(table(workspace, "normalised"), "simclr", "us8k")
    assert (absent["status"], absent["reason"]) == ("undefined", "no reference: supervised was not scored here")
    mean = table(workspace, "normalised_means").iloc[0]
    assert (mean["tasks"], mean["undefined"], mean["shown"]) == (1, 1, "fixed tasks")
    assert mean["mean"] == pytest.approx(row["value"], abs=1e-6)


def test_seeds_that_are_good_on_both_tasks_widen_the_interval_of_their_mean(tmp_path: Path):
    """One encoder is scored on both tasks: its luck does not average out over them."""
    runs = default_runs()
    runs["supervised"].accuracies[("us8k", "scratch")] = 0.95
    job, workspace = write_workspace(tmp_path, runs)
    for seed, accuracy in enumerate((0.3, 0.6, 0.9)):
        tasks = {(task, "linear"): accuracy for task in ("esc10", "us8k", "fsdd_speaker")}
        write_run(workspace, "simclr", replace(runs["simclr"], accuracies=tasks), seed)
    aggregate(job, workspace)
    rows = table(workspace, "normalised")
    widths = [row["upper"] - row["lower"] for row in (cell(rows, "simclr", task) for task in ("esc10", "us8k"))]
    mean = table(workspace, "normalised_means").iloc[0]
    assert mean["tasks"] == 2
    assert mean["fixed_tasks_upper"] - mean["fixed_tasks_lower"] > 0.85 * sum(widths) / 2  # 0.71 if drawn task by task


def test_finding_follows_the_rule(project: Project):
    _, workspace = project
    found = json.loads((workspace.results / "scores" / "findings.json").read_text())
    finding = next(f for f in found["studies"]["small"] if f["runs"] == ["simclr"])
    unsaturated = [task for task in finding["tasks"] if not task["saturated"]]
    assert finding["verdict"] == "helps"
    assert all(task["beats_untrained"] == (task["p"] < 0.05 and task["difference"] > 0) for task in finding["tasks"])
    assert sum(task["beats_untrained"] for task in unsaturated) == 2
    assert "Log-mel statistics" in unsaturated[0]["baselines"]
    assert finding["largest_steps"] == 850
    assert finding["effective_rank"] == [12.5]


def test_equal_runs_give_a_negative_finding(tmp_path: Path):
    runs = default_runs()
    runs["simclr"].accuracies = dict(runs["untrained"].accuracies)
    job, workspace = write_workspace(tmp_path, runs)
    aggregate(job, workspace)
    found = json.loads((workspace.results / "scores" / "findings.json").read_text())["studies"]["small"][0]
    assert found["verdict"] == "negative"
    assert found["statement"].endswith("a negative finding.")


def test_few_tasks_say_nothing(project: Project):
    _, workspace = project
    found = json.loads((workspace.results / "scores" / "findings.json").read_text())["studies"]["small"]
    assert next(f for f in found if f["runs"] == ["late"])["verdict"] == "undecided"


def test_steps_metrics_plots_and_provenance(project: Project):
    _, workspace = project
    steps = table(workspace, "steps")
    assert sorted(set(steps["step"])) == [0, 100]
    metrics = json.loads((workspace.results / "metrics.json").read_text())["accuracy"]
    summary = table(workspace, "summary")
    assert metrics["small"]["esc10"]["simclr"] == pytest.approx(cell(summary, "simclr", "esc10")["accuracy"])
    assert metrics["small"]["esc10"]["supervised"] == pytest.approx(
        cell(summary, "supervised", "esc10", "scratch")["accuracy"]
    )
    assert list(pd.read_csv(workspace.results / "plots" / "accuracy.csv").columns) == [
        "study",
        "task",
        "run",
        "accuracy",
    ]
    provenance = json.loads((workspace.results / "scores" / "provenance.json").read_text())["simclr-1"]
    assert provenance["weights"] == {"all": "w1"}
    assert (provenance["data_hash"], provenance["code_hash"]) == (["d"], ["c"])
    assert provenance["training"][0]["steps"] == 850


def test_equal_inputs_give_equal_bytes(project: Project, tmp_path: Path):
    _, first = project
    job, second = write_workspace(tmp_path)
    aggregate(job, second)
    files = sorted(path.relative_to(first.results) for path in first.results.rglob("*") if path.is_file())
    assert files
    for file in files:
        assert (first.results / file).read_bytes() == (second.results / file).read_bytes(), file


def test_another_run_changes_no_other_row(project: Project, tmp_path: Path):
    _, before = project
    runs = default_runs()
    del runs["late"]
    job, after = write_workspace(tmp_path, runs)
    aggregate(job, after)
    rows = [
        table(workspace, "summary").query("run == 'simclr'").reset_index(drop=True) for workspace in (before, after)
    ]
    pd.testing.assert_frame_equal(*rows, check_dtype=False)


def test_a_seed_that_was_not_run_is_named(tmp_path: Path):
    job, workspace = write_workspace(tmp_path)
    broken = default_runs()["simclr"]
    broken.reason = "the disk was full"
    (workspace.evaluation("simclr-2") / "predictions.parquet").unlink()
    write_run(workspace, "simclr", broken, 2)
    aggregate(job, workspace)
    row = cell(table(workspace, "summary"), "simclr", "esc10")
    assert (row["status"], row["seeds"], row["reason"]) == ("ok", 2, "simclr-2: the disk was full")


def test_missing_evaluation_is_one_sentence(tmp_path: Path):
    job, workspace = write_workspace(tmp_path)
    (workspace.evaluation("simclr-1") / "scores.csv").unlink()
    with pytest.raises(StaleArtifactError, match=r"simclr-1/scores\.csv does not exist; run `dvc repro`"):
        aggregate(job, workspace)


def test_missing_predictions_are_one_sentence(tmp_path: Path):
    job, workspace = write_workspace(tmp_path)
    (workspace.evaluation("simclr-1") / "predictions.parquet").unlink()
    with pytest.raises(StaleArtifactError, match=r"predictions\.parquet does not exist"):
        aggregate(job, workspace)


def test_damaged_predictions_are_one_sentence(tmp_path: Path):
    job, workspace = write_workspace(tmp_path)
    (workspace.evaluation("simclr-1") / "predictions.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(CorruptArtifactError, match="is not a readable table"):
        aggregate(job, workspace)


def test_scores_of_another_version_are_refused(tmp_path: Path):
    job, workspace = write_workspace(tmp_path)
    path = workspace.evaluation("simclr-1") / "scores.csv"
    path.write_text(path.read_text().replace("protocol_hash", "something"))
    with pytest.raises(StaleArtifactError, match="no column 'protocol_hash'"):
        aggregate(job, workspace)


def test_scores_that_contradict_the_predictions_are_refused(tmp_path: Path):
    job, workspace = write_workspace(tmp_path)
    path = workspace.evaluation("simclr-1") / "scores.csv"
    rows = pd.read_csv(path)
    rows["value"] *= 0.9
    rows.to_csv(path, index=False)
    with pytest.raises(StaleArtifactError, match="scores and predictions of simclr-1 disagree on"):
        aggregate(job, workspace)


def test_run_unknown_to_the_study_is_refused(tmp_path: Path):
    runs = default_runs() | {"stranger": Run("x", {("esc10", "linear"): 0.5})}
    job, workspace = write_workspace(tmp_path, runs)
    with pytest.raises(StaleArtifactError, match="no run 'stranger'"):
        aggregate(job, workspace)


def test_rows_come_back_as_they_were_written(project: Project):
    _, workspace = project
    path = workspace.results / "scores" / "summary.csv"
    rows = read_rows(path, AccuracyRow)
    again = path.with_name("again.csv")
    write_rows(again, AccuracyRow, rows)
    text = again.read_bytes()
    again.unlink()
    assert text == path.read_bytes()
    assert {type(row.accuracy) for row in rows} == {float, type(None)}
