"""The plan: what each stage is told, and what it is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark import registry
from benchmark.artifacts import read_json, write_json
from benchmark.closure import closure
from benchmark.config import Protocol, Training, load_params, parse_yaml
from benchmark.errors import ConfigError
from benchmark.jobs import EvaluateJob, PretrainJob, read_job
from benchmark.plan import FINE_TUNING, Planner, active_stages, check_active, check_fine_tuning
from benchmark.resolve import Resolved
from benchmark.selection import select_profile
from benchmark.workspace import Workspace

ROOT = Path(__file__).parent.parent


@pytest.fixture
def root(checkout: Path, shared_cache: None) -> Path:
    """A checkout's params.yaml and studies."""
    return checkout


def prepared(workspace: Workspace, **absent: str) -> None:
    """Pretend that every corpus has been prepared, but for the ``absent``."""
    for corpus in active_stages(workspace.root, load_params(workspace.root), workspace.profile)["corpora"]:
        dataset, rate = corpus.rsplit("-", 1)
        facts: dict[str, Any] = {"status": "ok", "fingerprint": f"hash-{corpus}", "standin": True}
        if dataset in absent:
            facts = {"status": "absent", "fingerprint": "none", "reason": absent[dataset]}
        write_json(workspace.manifest(dataset, int(rate)), facts)


def planner(root: Path, profile: str = "mini", **absent: str) -> Planner:
    workspace = Workspace(root, profile)
    prepared(workspace, **absent)
    return Planner(workspace, load_params(root))


def change_run(root: Path, run: str, **changes: object) -> None:
    file = root / "studies" / "transfer.yaml"
    study = parse_yaml(file.read_text())
    study["runs"][run].update(changes)
    file.write_text(yaml.safe_dump(study))


def jobs(plan: Planner) -> tuple[dict[str, PretrainJob], dict[str, EvaluateJob]]:
    return {job.name: job for job in plan.pretrain_jobs()}, {job.name: job for job in plan.evaluate_jobs()}


def test_planning_imports_no_torch(root: Path):
    select_profile(root, "mini")
    code = (
        "import sys; from pathlib import Path; from benchmark.plan import make_plan; from benchmark.workspace import Workspace\n"
        f"make_plan(Workspace(Path({str(root)!r}), 'mini')).write()\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_job_survives_its_json(root: Path, tmp_path: Path):
    plan = planner(root)
    plan.write()
    job = jobs(plan)[0]["simclr_us8k-1"]
    again = read_job(PretrainJob, plan.workspace.plan("pretrain", "simclr_us8k-1"))
    assert again == job
    assert again.key == job.key


def test_a_run_is_its_methods_defaults_under_its_delta_under_the_profiles_scale(root: Path):
    params = parse_yaml((root / "params.yaml").read_text())
    params["profiles"]["mini"]["runs"]["default"]["steps"] = 123
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    job = jobs(planner(root))[0]["simclr_us8k-0"]
    assert job.training.optimizer == "adamw"  # the study's delta
    assert (job.training.steps, job.training.epochs) == (123, None)  # the profile's scale, in place of published epochs
    assert job.encoder_config["width"] == 0.25
    assert job.method_config["temperature"] == 0.2
    paper = jobs(planner(root, "paper"))[0]["simclr_resnet18-0"]
    assert (paper.training.epochs, paper.training.steps, paper.training.optimizer) == (500, None, "sgd")
    assert paper.encoder_config["width"] == 1.0


def test_methods_without_training_are_not_given_steps(root: Path):
    assert jobs(planner(root))[0]["untrained_us8k-0"].training.steps == 0


def test_what_is_evaluated_is_forbidden_in_pre_training(root: Path):
    job = jobs(planner(root))[0]["simclr_us8k-0"]
    assert [ref.dataset for ref in job.sources] == ["urbansound8k"]
    assert [ref.dataset for ref in job.excluded] == ["esc50", "fsdd"]


def test_pre_training_on_what_is_evaluated_is_refused(root: Path):
    change_run(root, "simclr_us8k", data=["urbansound8k", "fsdd"])
    with pytest.raises(ConfigError, match="pre-trains on fsdd and is evaluated on it"):
        jobs(planner(root))


def test_scoring_a_classifier_that_is_not_trained_is_refused(root: Path):
    change_run(root, "simclr_us8k", protocols=["scratch"])
    with pytest.raises(ConfigError, match=r"Run simclr_us8k: protocol scratch .* simclr trains none"):
        jobs(planner(root))


def test_a_run_trained_once_a_fold_is_evaluated_on_that_task_only(root: Path):
    change_run(root, "supervised_esc10", evaluate=["esc10", "us8k"])
    with pytest.raises(ConfigError, match="trained once a fold of esc10"):
        jobs(planner(root))


def fine_tuned(root: Path, run: str = "simclr_us8k", **settings: Any) -> None:
    """Give a run of the transfer study the protocol ``tuned`` beside ``linear``."""
    file = root / "studies" / "transfer.yaml"
    study = parse_yaml(file.read_text())
    study["protocols"]["tuned"] = {"head": "fine_tune", "unit": "slice", "training": {"lr": 0.01}, **settings}
    study["runs"][run]["protocols"] = ["tuned", "linear"]
    file.write_text(yaml.safe_dump(study))


def test_fine_tuning_is_its_methods_defaults_under_its_delta_under_the_profiles_scale(root: Path):
    before = jobs(planner(root))[1]["simclr_us8k-0"]
    fine_tuned(root)
    params = parse_yaml((root / "params.yaml").read_text())
    params["profiles"]["mini"]["protocols"]["tuned"] = {"epochs": 3, "batch_size": 32, "replicas": 2}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    job = jobs(planner(root))[1]["simclr_us8k-0"]
    training = job.protocols["tuned"].training
    assert (training["optimizer"], training["lr"]) == ("adam", 0.01)  # the method's, and the study's delta
    assert (training["epochs"], training["steps"], training["batch_size"]) == (3, None, 32)
    assert job.protocols["tuned"].replicas == 2
    assert job.protocols["tuned"].method_config["mix"] == 0.0
    assert job.snapshot_protocol == "linear"
    assert list(job.fine_tuning_code) == ["tuned"]
    assert job.code == before.code  # frozen heads do not depend on how a protocol beside them trains


def test_the_code_behind_fine_tuning_holds_its_method_and_the_loop():
    found = closure([*FINE_TUNING, "methods.supervised"])
    assert {"methods.supervised", "benchmark.pretraining.loop", "benchmark.evaluation.stage"} <= set(found)
    assert "benchmark.pretraining.loop" not in closure(["benchmark.evaluation.stage"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"method": "supervisd"}, "did you mean 'supervised'"),
        ({"freeze": 99}, "protocol tuned: freeze: TagliasacchiCnn has 6 blocks"),
    ],
)
def test_a_protocol_that_cannot_be_resolved_is_refused(root: Path, settings: dict[str, Any], sentence: str):
    fine_tuned(root, **settings)
    with pytest.raises(ConfigError, match=sentence):
        planner(root)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"needs_labels": False}, "method simclr does not learn a task's labels"),
        ({"training": Training(steps=0)}, "training has no length"),
        ({"training": Training(steps=5, snapshots=(1,))}, "there are no snapshots"),
        ({"parameters": 0}, "encoder e has no parameters, so that it cannot be fine-tuned; drop the protocol"),
        ({"scope": "clip"}, "encoder e sees whole clips"),
        ({"training": Training(epochs=2)}, "curve_every averages folds by the step"),
    ],
)
def test_what_cannot_be_fine_tuned_is_refused_before_anything_is_trained(facts: dict[str, Any], sentence: str):
    counts = dict.fromkeys(
        ["sample_rate", "parameters", "trained_parameters", "views", "window_flops", "window_values"], 1
    )
    settings: dict[str, Any] = {
        **counts,
        "scope": "window",
        "needs_labels": True,
        "training": Training(steps=5),
        **facts,
    }
    protocol = Protocol(head="fine_tune", method="simclr", curve_every=5)
    with pytest.raises(ConfigError, match=f"^Run r: .*{sentence}"):
        check_fine_tuning("Run r", "e", protocol, Resolved(method_config={}, encoder_config={}, **settings))


def test_a_run_with_labels_of_another_dataset(root: Path):
    change_run(root, "simclr_us8k", data=[], labels="us8k", method="supervised", training={}, method_config={})
    pretrain, evaluate = jobs(planner(root))
    job = pretrain["simclr_us8k-0"]
    assert (job.labels, job.task, [ref.dataset for ref in job.sources]) == ("us8k", None, ["urbansound8k"])
    assert [ref.dataset for ref in job.excluded] == ["esc50", "fsdd"]
    assert evaluate["simclr_us8k-0"].pretrain_dataset == "urbansound8k"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": "us8k"}, "set one of data, labels"),
        ({"data": [], "labels": "esc10", "method": "supervised"}, "pre-trains on esc50 and is evaluated on it"),
        ({"data": [], "labels": "us8k", "method": "supervised", "protocols": ["scratch"]}, "which is one of us8k"),
    ],
)
def test_labels_that_do_not_fit_are_refused(root: Path, changes: dict[str, Any], message: str):
    change_run(root, "simclr_us8k", **{"training": {}, "method_config": {}, **changes})
    with pytest.raises(ConfigError, match=message):
        jobs(planner(root))


def test_the_scale_of_a_protocol_may_be_one_studys_alone(root: Path):
    params = parse_yaml((root / "params.yaml").read_text())
    mini = params["profiles"]["mini"]
    mini["protocols"] |= {"linear_published@transfer": {"steps": 7}, "linear_published": {"steps": 8}}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    assert jobs(planner(root))[1]["simclr_us8k-0"].protocols["linear_published"].steps == 7
    mini["protocols"] = {"linear_published@transfr": {"steps": 7}}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(ConfigError, match="unknown protocol 'linear_published@transfr'"):
        planner(root)


def test_absent_data_is_told_not_raised(root: Path):
    pretrain, evaluate = jobs(planner(root, urbansound8k="no folder UrbanSound8K"))
    assert (pretrain["simclr_us8k-0"].status, pretrain["simclr_us8k-0"].reason) == ("not run", "no folder UrbanSound8K")
    assert evaluate["simclr_us8k-0"].status == "not run"
    assert pretrain["supervised_esc10-0"].status == "ready"
    absent = {ref.task: ref.corpus.absent for ref in evaluate["logmel_statistics-0"].tasks}
    assert absent["us8k"] == "no folder UrbanSound8K"
    assert absent["esc10"] == ""


@pytest.mark.parametrize(("standin", "blocked"), [(True, False), (False, True)])
def test_a_standin_lacks_classes_where_its_dataset_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch, standin: bool, blocked: bool
):
    monkeypatch.setattr(type(registry.load("dataset", "fsdd")), "standin_classes", {"digit": ("3", "7")})
    plan = planner(root)
    for file in plan.workspace.manifest("fsdd", 16_000).parent.glob("fsdd-*.json"):
        classes = {"digit": {"3": 5, "7": 5}, "speaker": {"theo": 10}}
        write_json(file, {**read_json(file), "standin": standin, "classes": classes})
    _, evaluate = jobs(Planner(plan.workspace, load_params(root)))
    missing = {ref.task: ref.missing for ref in evaluate["logmel_statistics-0"].tasks}
    assert missing["fsdd_digit"] == ("the data lacks 8 of 10 classes, '0' for one" if blocked else "")
    assert missing["fsdd_speaker"] == "the data lacks 5 of 6 classes, 'george' for one"


def test_a_rate_that_no_corpus_has_is_refused(root: Path):
    params = parse_yaml((root / "params.yaml").read_text())
    params["profiles"]["sandbox"]["rates"] = {"default": [16000]}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(ConfigError, match="rates lacks 22050 Hz"):
        jobs(planner(root, "sandbox"))


def test_stages_that_do_not_match_the_profile_are_refused(root: Path):
    select_profile(root, "mini")
    check_active(root, load_params(root), "mini")
    with pytest.raises(ConfigError, match="run `benchmark select sandbox` first"):
        check_active(root, load_params(root), "sandbox")


def test_two_studies_may_not_name_the_same_run(root: Path):
    study = parse_yaml((root / "studies" / "transfer.yaml").read_text())
    (root / "studies" / "copy.yaml").write_text(yaml.safe_dump({**study, "id": "copy"}))
    params = parse_yaml((root / "params.yaml").read_text())
    params["profiles"]["mini"]["studies"].append("copy")
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(ConfigError, match="two studies name the run"):
        planner(root)


def test_every_run_and_seed_has_a_stage(root: Path):
    stages = active_stages(root, load_params(root), "mini")
    assert stages["corpora"] == [
        "esc50-16000",
        "esc50-22050",
        "fsdd-16000",
        "urbansound8k-16000",
        "urbansound8k-22050",
    ]
    assert {"simclr_us8k-0", "simclr_us8k-1", "simclr_us8k-2", "majority-0"} <= set(stages["runs"])
    assert "majority-1" not in stages["runs"]
    assert not [run for run in stages["runs"] if "resnet18" in run]


def test_the_report_is_told_in_what_its_scale_departs_from_the_papers(root: Path):
    small = planner(root, "sandbox").report_job().departures
    assert small[0] == "synthetic stand-in data"
    assert "width" in small[1]
    assert planner(root, "paper").report_job().departures == ()


def test_what_the_papers_published_is_rendered_and_decides_no_score():
    stages = parse_yaml((ROOT / "dvc.yaml").read_text())["stages"]
    published = {"results/published", "results/errata.yaml"}
    read = {name: published & set(stage.get("deps", ())) for name, stage in stages.items()}
    assert {name: files for name, files in read.items() if files} == {
        "tables": {"results/published"},
        "report": published,
    }


def test_a_profile_is_narrowed_to_a_study_and_widened_again(root: Path):
    select_profile(root, "sandbox")
    whole = (root / "params.yaml").read_text()
    assert select_profile(root, "sandbox", ["datasets"])
    params = load_params(root)
    check_active(root, params, "sandbox")
    assert (params.active.studies, params.active.only) == (("datasets",), ("datasets",))
    assert params.active.runs == ("chance-0", "length-0", "spectrum-0")
    prepared(Workspace(root, "sandbox"))
    narrow, wide = (
        Planner(Workspace(root, "sandbox"), params, params.active.only),
        Planner(Workspace(root, "sandbox"), params),
    )
    assert jobs(narrow)[1]["spectrum-0"] == jobs(wide)[1]["spectrum-0"]  # so that widening runs nothing again
    assert narrow.report_job().studies == ("datasets",)
    assert list(narrow.report_job().runs) == ["datasets"]
    assert select_profile(root, "sandbox")
    assert (root / "params.yaml").read_text() == whole


def test_a_run_that_is_no_more_leaves_no_job(root: Path):
    plan = planner(root)
    plan.write()
    gone = plan.workspace.plan("evaluate", "gone-0")
    write_json(gone, read_json(plan.workspace.plan("evaluate", "simclr_us8k-0")))
    plan.write()
    assert not gone.exists()
    assert plan.workspace.plan("report", "render").exists()


def test_a_profile_is_not_narrowed_to_a_study_that_it_lacks(root: Path):
    with pytest.raises(ConfigError, match="unknown study 'dataset': did you mean 'datasets'"):
        select_profile(root, "paper", ["dataset"])


def test_a_narrowed_selection_does_not_pass_for_the_whole(root: Path):
    select_profile(root, "sandbox", ["transfer"])
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("  only: [transfer]\n", ""))
    with pytest.raises(ConfigError, match="run `benchmark select sandbox` first"):
        check_active(root, load_params(root), "sandbox")


def test_a_scale_can_be_of_one_studys_protocol_alone(root: Path):
    _, evaluations = jobs(planner(root, "sandbox"))
    assert evaluations["fonseca_resnet18-0"].protocols["knn"].neighbours == (3,)
    assert len(evaluations["simclr_us8k-0"].protocols["knn"].neighbours) > 1
