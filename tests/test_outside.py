"""Outside models in the plan: a run like any other, whose identity is that of its code and weights as they are now."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark import closure, outside
from benchmark.bring_in import describe, forget
from benchmark.config import load_params
from benchmark.errors import ConfigError
from benchmark.outside import OutsideModel, write_outside
from benchmark.plan import Planner, active_stages, check_active
from benchmark.selection import select_profile
from benchmark.studies import load_study
from benchmark.workspace import Workspace
from tests.outside_model import installed
from tests.test_plan import jobs, prepared

ROOT = Path(__file__).parent.parent
MODULE = "outside_for_plan"
FEATURES = ("linear", "linear_few", "knn", "shuffled")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A checkout's params.yaml and studies, and the example model with its weights."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "studies", root / "studies")
    shutil.copy(ROOT / "params.yaml", root)
    installed(tmp_path / "elsewhere", monkeypatch, MODULE).write_weights(str(root / "w.safetensors"))
    return Workspace(root, "mini")


def model(**changes: object) -> OutsideModel:
    facts = {
        "title": "Outside",
        "module": MODULE,
        "weights": "w.safetensors",
        "sample_rate": 22_050,
        "embedding_size": 96,
    }
    asked = {"study": "transfer", "tasks": ("esc10",), "protocols": ("linear", "knn")}
    return OutsideModel(**{**facts, **asked, **changes})


def planned(workspace: Workspace) -> Planner:
    for cached in (closure.locate, closure._file, closure._read, outside._sha256):
        cached.cache_clear()  # as in a process of its own
    prepared(workspace)
    return Planner(workspace, load_params(workspace.root))


def test_it_is_a_run_of_its_study_in_every_table_that_shows_it(workspace: Workspace):
    write_outside(workspace.root, "mine", model())
    study = load_study(workspace.root, "transfer")
    assert study.runs["mine"].evaluate == ("esc10",)
    assert [name for name, table in study.tables.items() if "mine" in table.rows] == ["accuracy", "nearest_neighbours"]
    pretrain, evaluate = jobs(planned(workspace))
    assert pretrain["mine-0"].status == evaluate["mine-0"].status == "ready"
    assert list(evaluate["mine-0"].protocols) == ["linear", "knn"]
    assert [task.corpus.rate for task in evaluate["mine-0"].tasks] == [22_050]
    assert "mine-1" not in pretrain  # nothing is trained, so the profile's number of seeds does not apply


def test_the_other_runs_are_planned_as_before(workspace: Workspace):
    before = [{job.name: job.key for job in each.values()} for each in jobs(planned(workspace))]
    write_outside(workspace.root, "mine", model())
    after = [{job.name: job.key for job in each.values() if job.run != "mine"} for each in jobs(planned(workspace))]
    assert after == before


def test_its_rate_is_prepared_for_its_datasets_alone(workspace: Workspace):
    params = load_params(workspace.root)
    before = active_stages(workspace.root, params, "mini")
    write_outside(workspace.root, "mine", model(sample_rate=44_100))  # which no run of the profile asks for
    after = active_stages(workspace.root, params, "mini")
    assert set(after["corpora"]) - set(before["corpora"]) == {"esc50-44100"}
    assert set(after["runs"]) - set(before["runs"]) == {"mine-0"}
    with pytest.raises(ConfigError, match="benchmark select mini"):
        check_active(workspace.root, params, "mini")
    select_profile(workspace.root, "mini")
    check_active(workspace.root, load_params(workspace.root), "mini")


def test_new_weights_or_code_are_another_model(workspace: Workspace, tmp_path: Path):
    write_outside(workspace.root, "mine", model())
    keys = [jobs(planned(workspace))[0]["mine-0"].key]
    weights = workspace.root / "w.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    keys.append(jobs(planned(workspace))[0]["mine-0"].key)
    source = tmp_path / "elsewhere" / f"{MODULE}.py"
    source.write_text(source.read_text().replace("+ 1e-6", "+ 1e-5"))
    keys.append(jobs(planned(workspace))[0]["mine-0"].key)
    assert len(set(keys)) == 3
    source.write_text(source.read_text() + "\n# a comment\n")
    assert jobs(planned(workspace))[0]["mine-0"].key == keys[-1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"weights": "gone.safetensors"}, "the weights gone.safetensors do not exist"),
        ({"module": "no_such_module"}, "the module no_such_module cannot be found"),
    ],
)
def test_a_model_that_is_not_here_is_not_run_and_stops_nothing(workspace: Workspace, changes: dict[str, str], why: str):
    write_outside(workspace.root, "mine", model(**changes))
    pretrain, evaluate = jobs(planned(workspace))
    for job in (pretrain["mine-0"], evaluate["mine-0"]):
        assert job.status == "not run"
        assert why in job.reason
    assert pretrain["simclr_us8k-0"].status == "ready"


def test_source_that_does_not_parse_stops_nothing(workspace: Workspace, tmp_path: Path):
    write_outside(workspace.root, "mine", model())
    (tmp_path / "elsewhere" / f"{MODULE}.py").write_text("def (")
    assert "line 1" in jobs(planned(workspace))[0]["mine-0"].reason


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("simclr_us8k", {}, "has a run of that name"),
        ("mine", {"tasks": ("esc1",)}, "outside/mine.yaml: .* has no task 'esc1': did you mean 'esc10'"),
        ("mine", {"protocols": ("linnear",)}, "no protocol 'linnear': did you mean 'linear'"),
    ],
)
def test_a_file_that_does_not_fit_its_study(workspace: Workspace, name: str, changes: dict[str, object], told: str):
    write_outside(workspace.root, name, model(**changes))
    with pytest.raises(ConfigError, match=told):
        load_study(workspace.root, "transfer")


def test_describing_loads_the_model_and_takes_what_fits(workspace: Workspace):
    weights = workspace.root / "w.safetensors"
    found = describe(workspace, MODULE, weights, name="mine")
    assert (found.sample_rate, found.embedding_size, found.weights) == (22_050, 96, "w.safetensors")
    assert (found.study, found.protocols) == ("transfer", FEATURES)
    assert found.tasks == load_study(workspace.root, "transfer").tasks
    everything = describe(Workspace(workspace.root, "sandbox"), MODULE, weights, name="mine", tasks=["gtzan", "esc10"])
    assert (everything.study, everything.protocols) == ("datasets", ("features",))
    write_outside(workspace.root, "mine", found)
    assert describe(workspace, MODULE, weights, name="mine", tasks=["us8k"]).tasks == ("us8k",)  # in place of the first


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "Mine!"}, "no name of a run"),
        ({"name": "simclr_us8k"}, "choose another --name"),
        ({"study": "transfers"}, "no study 'transfers': did you mean 'transfer'"),
        ({"tasks": ["esc1"]}, "Unknown task 'esc1' .*did you mean 'esc10'"),
        ({"protocols": ["nn"]}, "no protocol 'nn'"),
        ({"weights": Path("none.pt")}, "The weights none.pt do not exist"),
        ({"model": "no_such_module:api"}, "no_such_module cannot be found"),
    ],
)
def test_what_a_user_can_get_wrong(workspace: Workspace, changes: dict[str, object], told: str):
    asked = {"model": MODULE, "weights": None, "name": "mine", **changes}
    with pytest.raises(ConfigError, match=told):
        describe(workspace, asked.pop("model"), asked.pop("weights"), **asked)
    assert not (workspace.root / "outside").exists()


def test_a_forgotten_model_leaves_nothing(workspace: Workspace):
    write_outside(workspace.root, "mine", model())
    select_profile(workspace.root, "mini")
    planned(workspace).write()
    workspace.run("mine-0").mkdir(parents=True)
    forget(workspace.root, "mine")
    assert not list(workspace.root.rglob("*mine*"))
    check_active(workspace.root, load_params(workspace.root), "mini")
    with pytest.raises(ConfigError, match="Unknown outside model 'mine'"):
        forget(workspace.root, "mine")
