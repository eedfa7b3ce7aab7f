"""What a user can write wrongly is answered with one sentence that names the place."""

from pathlib import Path

import pytest

from benchmark.config import (
    Params,
    Profile,
    Protocol,
    Scale,
    Study,
    Training,
    load_params,
    merged,
    parse_yaml,
    validate,
)
from benchmark.errors import ConfigError
from benchmark.studies import load_study

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "width",
    "depth",
    "steps",
    "batch_size",
    "max_clips",
    "snapshots",
    "checkpoint_every",
    "log_every",
    "precision",
}


def params(**changes: object) -> dict[str, object]:
    return {**parse_yaml((ROOT / "params.yaml").read_text()), **changes}


def test_the_committed_params_and_studies_are_valid():
    for profile in load_params(ROOT).profiles.values():
        assert all(load_study(ROOT, study).id == study for study in profile.studies)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sed": 1}, r"params.yaml: unknown parameter 'sed'; did you mean 'seed'\?"),
        ({"seed": -1}, r"params.yaml: seed: .*greater than or equal to 0, got -1"),
        ({"seed": "one"}, r"params.yaml: seed: .*valid integer, got 'one'"),
        ({"profile": []}, r"params.yaml: profile"),
        ({"machine": {"threads": 0}}, r"params.yaml: machine\.threads: .*, got 0"),
        ({"machine": {"thread": 2}}, r"unknown parameter 'machine\.thread'; did you mean 'threads'\?"),
        ({"machine": {"threads": 2.5}}, r"machine\.threads: .*got 2\.5"),
    ],
)
def test_a_fault_in_params_is_one_sentence(change: dict[str, object], sentence: str):
    with pytest.raises(ConfigError, match=sentence) as caught:
        validate(Params, params(**change), "params.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_learning_rate_must_be_finite_and_positive(value: float):
    with pytest.raises(ConfigError, match="lr"):
        validate(Training, {"lr": value, "steps": 1}, "run x")


def test_steps_and_epochs_exclude_each_other():
    with pytest.raises(ConfigError, match="set steps or epochs, not both"):
        validate(Training, {"steps": 1, "epochs": 1}, "run x")


@pytest.mark.parametrize(("head", "grid"), [("converged", "regularisers"), ("knn", "neighbours")])
def test_a_searched_head_needs_its_grid(head: str, grid: str):
    with pytest.raises(ConfigError, match=grid):
        validate(Protocol, {"head": head}, "protocol x")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"head": "fine_tune", "lr": 0.1}, "a fine_tune head does not read lr"),
        ({"head": "own", "freeze": "all"}, "only a fine_tune head reads freeze"),
        ({"head": "fine_tune", "freeze": 0}, "freeze"),
        ({"head": "fine_tune", "select": "best"}, "select"),
    ],
)
def test_a_setting_that_its_head_does_not_read_is_refused(settings: dict[str, object], sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        validate(Protocol, settings, "protocol")


def test_a_profile_changes_nothing_of_a_run_but_its_scale():
    assert set(Scale.model_fields) == ALLOWED
    profile = params()["profiles"]["sandbox"]  # type: ignore[index]
    with pytest.raises(ConfigError, match=r"unknown parameter 'runs\.default\.lr'"):
        validate(Profile, {**profile, "runs": {"default": {"lr": 0.1}}}, "profile")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("evaluate", ["esc11"], "undeclared task 'esc11'"),
        ("protocols", ["linaer"], "undeclared protocol 'linaer'"),
        ("untrained", "nobody", "undeclared run 'nobody'"),
    ],
)
def test_a_study_that_names_what_it_does_not_declare_is_refused(key: str, value: object, sentence: str):
    study = parse_yaml((ROOT / "studies" / "transfer.yaml").read_text())
    study["runs"]["simclr_us8k"][key] = value
    with pytest.raises(ConfigError, match=sentence):
        validate(Study, study, "studies/transfer.yaml")


@pytest.mark.parametrize("protocol", ["linaer", {"default": "linear", "simclr_us8k": "linaer"}])
def test_a_table_of_an_undeclared_protocol_is_refused(protocol: object):
    study = parse_yaml((ROOT / "studies" / "transfer.yaml").read_text())
    study["tables"]["accuracy"]["protocol"] = protocol
    with pytest.raises(ConfigError, match="table accuracy names the undeclared protocol 'linaer'"):
        validate(Study, study, "studies/transfer.yaml")


def test_an_unknown_study_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="Unknown study 'transfr': did you mean 'transfer'"):
        load_study(ROOT, "transfr")


def test_broken_yaml_names_the_file(tmp_path: Path):
    (tmp_path / "params.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match=r"params\.yaml is not valid YAML"):
        load_params(tmp_path)


def test_merging_goes_through_nested_mappings_and_leaves_the_base_alone():
    base = {"a": {"b": 1, "c": 2}, "d": 3}
    assert merged(base, {"a": {"c": 9}, "e": 4}) == {"a": {"b": 1, "c": 9}, "d": 3, "e": 4}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}
