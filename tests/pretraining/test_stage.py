import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.config import Machine, Training
from benchmark.errors import ConfigError, CorruptArtifactError, DataError, StaleArtifactError
from benchmark.jobs import CorpusRef, PretrainJob
from benchmark.pretraining.export import load_part
from benchmark.pretraining.loop import Trainer
from benchmark.pretraining.parts import plan_parts
from benchmark.pretraining.stage import pretrain
from benchmark.workspace import Workspace
from tests.pretraining.toys import RATE, tone, toy_clips, toy_corpus, write_corpus

ENCODER = {"width": 0.0625, "frames": 16}
NETWORK = "tagliasacchi_cnn"
FINGERPRINTS: dict[str, str] = {}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three corpora: tones, others that share two sources with them, labelled ones in folds."""
    root = tmp_path_factory.mktemp("project")
    workspace = Workspace(root, "test")
    corpora = [toy_corpus(workspace.corpus("toy", RATE))]
    shared = toy_clips(6, "other")
    shared.loc[[0, 4], "group"] = ["toy:toy003", "toy:toy007"]
    tones = [tone(700, 5000, n) for n in range(6)]
    corpora.append(write_corpus(workspace.corpus("other", RATE), "other", shared, tones))
    classes = ["dog", "rain"]
    clips = toy_clips(60, "esc50").assign(
        fold=[str(1 + n // 2 % 5) for n in range(60)], category=[classes[n % 2] for n in range(60)], esc10=True
    )
    audio = [tone(250 if n % 2 else 2000, 4000, n) for n in range(60)]
    corpora.append(write_corpus(workspace.corpus("esc50", RATE), "esc50", clips, audio))
    FINGERPRINTS.update({corpus.dataset: corpus.fingerprint for corpus in corpora})
    return root


@pytest.fixture
def workspace(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The project with a build folder and a cache of its own."""
    (tmp_path / "data").symlink_to(root / "data")
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    return Workspace(tmp_path, "test")


def ref(dataset: str, fingerprint: str | None = None) -> CorpusRef:
    return CorpusRef(dataset=dataset, rate=RATE, fingerprint=fingerprint or FINGERPRINTS[dataset], standin=True)


def make_job(method: str = "simclr", **changes: Any) -> PretrainJob:
    training = {
        "optimizer": "adamw",
        "steps": 6,
        "batch_size": 8,
        "checkpoint_every": 2,
        "log_every": 2,
        "snapshots": (0, 4),
        **changes.pop("training", {}),
    }
    settings: dict[str, Any] = {
        "study": "s",
        "profile": "test",
        "run": "run",
        "name": "run-0",
        "method": method,
        "encoder": NETWORK,
        "seed": 0,
        "machine": Machine(device="cpu", threads=1),
        "code": "code",
        "versions": {"torch": "1"},
        "method_config": {},
        "encoder_config": ENCODER,
        "training": Training(**training),
        "sources": () if "sources" in changes else (ref("toy"),),
        "excluded": (),
        "task": None,
    }
    return PretrainJob(**{**settings, **changes})


def run_record(workspace: Workspace, name: str = "run-0") -> dict[str, Any]:
    return dict(json.loads((workspace.run(name) / "run.json").read_text()))


def outputs(workspace: Workspace, name: str = "run-0") -> dict[str, bytes]:
    """Every file of the stage but the one that holds wall-clock times."""
    folders = (workspace.run(name), workspace.curves(name))
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(workspace.build)): path.read_bytes() for path in files}


def test_a_run_leaves_encoders_snapshots_curves_and_records(workspace: Workspace) -> None:
    pretrain(make_job(), workspace)
    record = run_record(workspace)
    assert record["status"] == "ready"
    assert [(part["part"], part["step"]) for part in record["parts"]] == [
        ("all", None),
        ("all-step0", 0),
        ("all-step4", 4),
    ]
    for part in record["parts"]:
        encoder, loaded, head = load_part(workspace.run("run-0") / part["file"])
        assert loaded["weights"] == part["weights"]
        assert head is None
        assert bool(encoder(torch.zeros(2, encoder.window)).isfinite().all())
    (trained,) = record["training"]
    assert (trained["steps"], trained["clips_seen"], trained["short_clips"]) == (6, 48, 0)
    assert trained["clips"][0]["used"] == 24
    assert trained["weights"] == record["parts"][0]["weights"]
    assert trained["final"]["step"] == 6
    curves = (workspace.curves("run-0") / "all" / "plots" / "metrics" / "loss.tsv").read_text()
    assert [line.split("\t")[0] for line in curves.splitlines()] == ["step", "2", "4", "6"]
    timing = json.loads(workspace.throughput("run-0").read_text())
    assert timing["all"]["clips"] == 48
    assert not list((workspace.cache / "checkpoints").iterdir())


def test_step_0_equals_untrained(workspace: Workspace) -> None:
    """The same data and seed: the snapshot before the first step is the Untrained reference, to the bit."""
    pretrain(make_job(), workspace)
    simclr = run_record(workspace)
    pretrain(make_job("untrained", name="u-0", training={"steps": 0, "snapshots": ()}), workspace)
    untrained = run_record(workspace, "u-0")
    assert simclr["training"][0]["initial_parameters"] == untrained["training"][0]["initial_parameters"]
    assert simclr["parts"][1]["weights"] == untrained["parts"][0]["weights"]
    assert simclr["parts"][0]["weights"] != untrained["parts"][0]["weights"]
    assert untrained["training"][0]["steps"] == 0
    pretrain(make_job("untrained", name="u-1", seed=1, training={"steps": 0, "snapshots": ()}), workspace)
    assert run_record(workspace, "u-1")["parts"][0]["weights"] != untrained["parts"][0]["weights"]


def test_initial_parameters_do_not_depend_on_method_or_data(workspace: Workspace) -> None:
    pretrain(make_job(sources=(ref("other"),)), workspace)
    pretrain(make_job("supervised", name="sup-0", sources=(ref("esc50"),), task="esc10"), workspace)
    pretrain(make_job("untrained", name="u-0", training={"steps": 0, "snapshots": ()}), workspace)
    initial = {
        part["initial_parameters"]
        for name in ("run-0", "sup-0", "u-0")
        for part in run_record(workspace, name)["training"]
    }
    assert len(initial) == 1


class Killed(Exception):
    pass


def test_killed_at_any_time_and_run_again_gives_the_same_bytes(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()
    pretrain(job, workspace)
    whole = outputs(workspace)
    shutil.rmtree(workspace.cache)

    advance = Trainer._advance
    for kill in (1, 3, 5):

        def dying(self: Trainer, state: Any, batch: Any, kill: int = kill) -> None:
            advance(self, state, batch)
            if state.step == kill:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_advance", dying)
            with pytest.raises(Killed):
                pretrain(job, workspace)
        shutil.rmtree(workspace.run("run-0"), ignore_errors=True)  # as DVC does
    pretrain(job, workspace)
    assert outputs(workspace) == whole


def test_finished_parts_are_reused_and_never_for_another_job(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()
    pretrain(job, workspace)
    first = outputs(workspace)
    shutil.rmtree(workspace.run("run-0"))

    def refused(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(Trainer, "fit", refused)
    pretrain(job, workspace)
    assert outputs(workspace) == first
    with pytest.raises(AssertionError, match="trained again"):
        pretrain(job.model_copy(update={"seed": 1}), workspace)


def test_a_lost_snapshot_is_made_again(workspace: Workspace) -> None:
    job = make_job()
    pretrain(job, workspace)
    first = outputs(workspace)
    workspace.cache.joinpath("snapshots", f"{job.key}-all-4.safetensors").unlink()
    pretrain(job, workspace)
    assert outputs(workspace) == first


def test_a_damaged_finished_part_is_one_sentence(workspace: Workspace) -> None:
    job = make_job()
    pretrain(job, workspace)
    path = workspace.cache / "parts" / f"{job.key}-all.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CorruptArtifactError, match="delete it and run the same command again"):
        pretrain(job, workspace)


def test_clips_of_evaluated_sources_are_excluded_counted_and_forbidden(workspace: Workspace) -> None:
    job = make_job(excluded=(ref("other"),))
    (plan,) = plan_parts(job, workspace)
    source = plan.sources[0]
    assert set(range(24)) - set(source.rows.tolist()) == {3, 7}
    with pytest.raises(Exception, match=r"toy003.*evaluated"):
        source.corpus.clip(3)
    pretrain(job, workspace)
    clips = run_record(workspace)["training"][0]["clips"][0]
    assert (clips["clips"], clips["used"], clips["excluded"], clips["excluded_for_shared_source"]) == (24, 22, 2, 2)


def test_nothing_left_to_train_on_is_one_sentence(workspace: Workspace) -> None:
    with pytest.raises(DataError, match="no clip of toy may be trained on"):
        pretrain(make_job(excluded=(ref("toy"),)), workspace)


def test_supervised_trains_once_a_fold_and_never_reads_the_test_fold(workspace: Workspace) -> None:
    job = make_job(
        "supervised", sources=(ref("esc50"),), task="esc10", training={"steps": 40, "lr": 2e-2, "snapshots": ()}
    )
    for plan in plan_parts(job, workspace):
        folds = plan.sources[0].corpus.clips["fold"].to_numpy()
        assert plan.fold not in set(folds[plan.sources[0].rows])
        assert plan.fold not in set(folds[plan.probes[0].rows])
        assert not set(plan.sources[0].rows) & set(plan.probes[0].rows)
        test_row = int(np.flatnonzero(folds == plan.fold)[0])
        for corpus in (plan.sources[0].corpus, plan.probes[0].corpus):
            with pytest.raises(Exception, match="must not be read"):
                corpus.clip(test_row)
    pretrain(job, workspace)
    record = run_record(workspace)
    assert [part["part"] for part in record["parts"]] == [f"fold-{n}" for n in range(1, 6)]
    for trained in record["training"]:
        assert [point["step"] for point in trained["validation"]] == [10, 20, 30, 40]
        assert trained["validation"][-1]["accuracy"] > 0.9
    _, _, head = load_part(workspace.run("run-0") / "fold-1.safetensors")
    assert head is not None
    assert head.out_features == 2


def test_labels_of_another_dataset_train_one_part_without_clips_that_are_evaluated(workspace: Workspace) -> None:
    job = make_job("supervised", sources=(ref("esc50"),), labels="esc10", training={"snapshots": ()})
    (plan,) = plan_parts(job, workspace)
    assert (plan.name, plan.fold, plan.n_classes, plan.probes) == ("all", None, 2, ())
    assert len(plan.sources[0].rows) == 60  # every clip is a training clip of some fold
    pretrain(job, workspace)
    record = run_record(workspace)
    assert [(part["part"], part["fold"]) for part in record["parts"]] == [("all", None)]
    with pytest.raises(DataError, match="no clip of esc50 may be trained on"):
        pretrain(job.model_copy(update={"excluded": (ref("esc50"),)}), workspace)


def test_supervised_folds_start_equal_and_end_different(workspace: Workspace) -> None:
    pretrain(make_job("supervised", sources=(ref("esc50"),), task="esc10"), workspace)
    training = run_record(workspace)["training"]
    assert len({part["initial_parameters"] for part in training}) == 1
    assert len({part["weights"] for part in training}) == 5


def test_a_run_that_cannot_be_done_says_why_and_trains_nothing(workspace: Workspace) -> None:
    pretrain(make_job(status="not run", reason="UrbanSound8K is absent", sources=()), workspace)
    record = run_record(workspace)
    assert (record["status"], record["reason"], record["parts"]) == ("not run", "UrbanSound8K is absent", [])
    assert [path.name for path in workspace.run("run-0").iterdir()] == ["run.json"]


def test_fixed_features_are_exported_without_data(workspace: Workspace) -> None:
    job = make_job(
        "fixed_features",
        encoder="logmel_statistics",
        encoder_config={},
        sources=(),
        training={"steps": 0, "snapshots": ()},
    )
    pretrain(job, workspace)
    record = run_record(workspace)
    assert record["training"][0]["parameters"] == {"encoder": 0, "method": 0}
    encoder, _, _ = load_part(workspace.run("run-0") / "all.safetensors")
    assert encoder.scope == "clip"
    assert not any(workspace.curves("run-0").iterdir())


def test_stale_data_is_refused(workspace: Workspace) -> None:
    with pytest.raises(StaleArtifactError, match="dvc repro"):
        pretrain(make_job(sources=(ref("toy", "another"),)), workspace)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": ()}, "nothing to train on; set `data` or `task`"),
        ({"training": {"steps": None}}, "training has no length"),
    ],
)
def test_a_run_without_data_or_length_is_one_sentence(
    workspace: Workspace, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrain(make_job(**change), workspace)


def test_untrained_without_data_is_one_sentence(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="needs clips to calibrate batch-norm"):
        pretrain(make_job("untrained", sources=(), training={"steps": 0, "snapshots": ()}), workspace)


def test_epochs_are_turned_into_steps(workspace: Workspace) -> None:
    pretrain(
        make_job(training={"steps": None, "epochs": 2, "snapshots": ()}, sources=(ref("toy"), ref("other"))), workspace
    )
    (trained,) = run_record(workspace)["training"]
    assert trained["steps"] == 2 * (2 * 24 // 8 + 1)  # the toy's clips are twice as long: two passes over it an epoch
    assert trained["epochs"] == 2.0
    assert trained["clips_a_step"] == [8, 6]


def test_max_clips_is_in_the_counts(workspace: Workspace) -> None:
    pretrain(make_job(training={"max_clips": 10, "snapshots": ()}), workspace)
    clips = run_record(workspace)["training"][0]["clips"][0]
    assert (clips["allowed"], clips["used"]) == (24, 10)


def test_input_statistics_are_those_of_the_training_crops(workspace: Workspace) -> None:
    pretrain(make_job(training={"snapshots": ()}), workspace)
    encoder, _, _ = load_part(workspace.run("run-0") / "all.safetensors")
    assert float(encoder.input_std) != 1.0  # type: ignore[arg-type]
    assert abs(float(encoder.input_mean)) > 0.1  # type: ignore[arg-type]


def test_global_state_is_left_as_it_was(workspace: Workspace) -> None:
    generator, threads = torch.get_rng_state(), torch.get_num_threads()
    numpy_state = copy.deepcopy(np.random.get_state()[1])  # noqa: NPY002
    pretrain(make_job(machine=Machine(threads=2), training={"steps": 1, "snapshots": ()}), workspace)
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.get_num_threads() == threads
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert not torch.are_deterministic_algorithms_enabled()


def test_probes_of_the_caller_join_the_curves(workspace: Workspace) -> None:
    class Constant:
        def due(self, step: int, steps: int) -> bool:
            return step == steps

        def __call__(self, step: int, method: Any) -> dict[str, float]:
            return {"knn_accuracy": 0.5}

    pretrain(make_job(), workspace, [Constant()])
    assert run_record(workspace)["training"][0]["final"]["knn_accuracy"] == 0.5
