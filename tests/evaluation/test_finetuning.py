"""Fine-tuning as a protocol: what it reads, what it keeps, what it chooses, and that a kill changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.artifacts import Cache
from benchmark.config import Protocol, Training
from benchmark.corpus.splits import Fold
from benchmark.corpus.store import Corpus
from benchmark.errors import ConfigError, ForbiddenClipError
from benchmark.evaluation import finetuning
from benchmark.evaluation.cells import pack
from benchmark.evaluation.finetuning import Tuning, fine_tune, windows_only
from benchmark.evaluation.protocols import Material, Outcome
from benchmark.pretraining.checkpoint import Checkpoints, TrainingState
from benchmark.pretraining.data import TrainingData
from benchmark.pretraining.finetuning import FineTuned, Selection
from benchmark.pretraining.layers import frozen_modules, parameter_groups
from benchmark.pretraining.method import Batch, Step
from benchmark.pretraining.schedule import RATE_FACTOR, build_optimizer, set_learning_rate
from benchmark.seeding import isolated_torch_seed
from benchmark.signal.encoder import Encoder
from methods.supervised import Supervised, SupervisedConfig
from tests.pretraining.toys import RATE, ToyEncoder, tone, toy_clips, write_corpus

N = 48
SETTINGS: dict[str, Any] = {"optimizer": "adam", "lr": 1e-2, "steps": 8, "batch_size": 6, "checkpoint_every": 3}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Tones of two pitches; the first two clips belong to no task."""
    audio = [tone(250 if n % 2 else 2000, 3000 + 7 * n, n) for n in range(N)]
    return write_corpus(tmp_path_factory.mktemp("corpus") / "toy", "toy", toy_clips(N), audio)


def protocol(**changes: Any) -> Protocol:
    training = {**SETTINGS, **changes.pop("training", {})}
    return Protocol(head="fine_tune", unit="slice", training=training, **changes)


def make(corpus: Corpus, folder: Path, settings: Protocol, seed: int = 0, key: str = "key", **changes: Any) -> Tuning:
    rows = np.arange(2, N)
    n = len(rows)
    labels = changes.pop("labels", np.arange(n) % 2)
    clips = np.arange(n)
    folds = tuple(
        Fold(str(f), clips[clips % 4 > 1], clips[(clips % 4 == 1 - f)], clips[clips % 4 == f], clips[:0])
        for f in (0, 1)
    )
    if labels.ndim == 1:  # both classes in every part
        part = clips // 2 % 4
        folds = tuple(Fold(str(f), clips[part > 1], clips[part == 1 - f], clips[part == f], clips[:0]) for f in (0, 1))
    with isolated_torch_seed(seed, "toy"):
        encoder = ToyEncoder().eval()
    found = windows_only(corpus, rows, encoder, settings)
    n_classes = labels.shape[1] if labels.ndim == 2 else 2
    kind = {"kind": "multi", "metric": "map"} if labels.ndim == 2 else {}
    material = Material(found, labels, n_classes, folds, "task", None, **{**kind, **changes})
    return Tuning(
        settings, material, corpus, rows, encoder, "toy", {}, seed, key, torch.device("cpu"), Cache(folder / "cache")
    )


def same(first: list[Outcome], second: list[Outcome]) -> bool:
    (a, facts), (b, others) = pack(first), pack(second)
    return facts == others and a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def accuracy(tuning: Tuning, outcome: Outcome) -> float:
    return float((outcome.predictions == tuning.material.labels[outcome.test]).mean())


def trained(tuning: Tuning, number: int = 0) -> tuple[Encoder, nn.Linear]:
    """Encoder and classifier of one unit, which nothing keeps."""
    material = tuning.material
    problems, _ = finetuning.problems_of(tuning.protocol, material, finetuning.Units(material, "clip"), tuning.seed)
    unit = finetuning._Unit(tuning, problems[number], "unit")._trained()
    return unit.encoder, unit.head


def test_it_learns_and_leaves_the_encoder_as_it_was(corpus: Corpus, tmp_path: Path) -> None:
    tuning = make(corpus, tmp_path, protocol(training={"steps": 30}))
    before = {name: value.clone() for name, value in tuning.encoder.state_dict().items()}
    outcomes = fine_tune(tuning)
    assert [outcome.fold for outcome in outcomes] == ["0", "1"]
    assert min(accuracy(tuning, outcome) for outcome in outcomes) > 0.9
    assert all(torch.equal(before[name], value) for name, value in tuning.encoder.state_dict().items())
    encoder, _ = trained(tuning)
    assert not torch.equal(encoder.linear.weight, tuning.encoder.linear.weight)


def test_scores_are_those_of_the_trained_encoder_on_fixed_windows(corpus: Corpus, tmp_path: Path) -> None:
    """Against a plain loop over windows of each test clip."""
    tuning = make(corpus, tmp_path, protocol(hop=0.05))
    [outcome, _] = fine_tune(tuning)
    encoder, head = trained(tuning)
    hop, predictions, slices = round(0.05 * RATE), [], []
    for clip in outcome.test:
        samples = tuning.corpus.clip(int(tuning.rows[clip])).astype(np.float32) / 32_768
        starts = list(range(0, len(samples) - 1024 + 1, hop))
        if len(samples) - 1024 - starts[-1] >= hop / 2:
            starts.append(len(samples) - 1024)
        with torch.no_grad():
            windows = torch.from_numpy(np.stack([samples[start : start + 1024] for start in starts]))
            shares = head(encoder(windows)).double().softmax(dim=1)
        predictions.append(int(shares.mean(dim=0).argmax()))
        slices += shares.argmax(dim=1).tolist()
    assert outcome.predictions.tolist() == predictions
    assert outcome.slice_predictions.tolist() == slices


def test_only_the_subsets_clips_are_trained_on(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[TrainingData] = []
    batches = TrainingData.batches

    def watched(self: TrainingData, first: int, last: int) -> Any:
        seen.append(self)
        return batches(self, first, last)

    monkeypatch.setattr(TrainingData, "batches", watched)
    tuning = make(corpus, tmp_path, protocol(train_sizes=(3, "full")))
    fine_tune(tuning)
    fold = tuning.material.folds[0]
    few, full = seen[0].sources[0], seen[1].sources[0]
    assert len(few.rows) == 6
    assert set(few.rows) <= set(tuning.rows[fold.train])
    assert set(full.rows) == set(tuning.rows[np.concatenate([fold.train, fold.valid])])
    assert few.labels is not None
    assert (few.labels[few.rows] == tuning.material.labels[few.rows - 2]).all()
    for forbidden in (tuning.rows[fold.test[0]], 0):
        with pytest.raises(ForbiddenClipError, match="trains on its own training clips"):
            full.corpus.clip(int(forbidden))


def test_validation_clips_never_train_where_they_choose(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainingData] = []
    original = TrainingData.__init__

    def watched(self: TrainingData, *args: Any, **kwargs: Any) -> None:
        seen.append(self)
        original(self, *args, **kwargs)

    monkeypatch.setattr(TrainingData, "__init__", watched)
    tuning = make(corpus, tmp_path, protocol(select="best_valid"))
    fine_tune(tuning)
    for data, fold in zip(seen, tuning.material.folds, strict=True):
        assert set(data.sources[0].rows) == set(tuning.rows[fold.train])
        with pytest.raises(ForbiddenClipError):
            data.sources[0].corpus.clip(int(tuning.rows[fold.valid[0]]))


@pytest.mark.parametrize("select_on", ["valid", "train_and_valid"])
def test_the_clips_that_choose_are_those_that_the_protocol_names(
    select_on: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[set[int]] = []
    original = finetuning._Unit._probabilities

    def watched(self: Any, encoder: Encoder, head: nn.Linear, clips: Any) -> Any:
        looked_at.append(set(clips.tolist()))
        return original(self, encoder, head, clips)

    monkeypatch.setattr(finetuning._Unit, "_probabilities", watched)
    tuning = make(corpus, tmp_path, protocol(select="best_valid", select_every=4, select_on=select_on))
    fine_tune(tuning)
    for fold in tuning.material.folds:
        train, valid, test = (set(rows.tolist()) for rows in (fold.train, fold.valid, fold.test))
        expected = valid | train if select_on == "train_and_valid" else valid
        assert [looked_at.pop(0) for _ in range(3)] == [expected, expected, test]
    assert not looked_at


def test_the_best_weights_are_copied_not_the_last(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of measurements 0.2, 0.9, 0.9, 0.1 after steps 2, 4, 6, 8 the first best is at 4: the weights of a run of 4 steps."""
    values = iter([0.2, 0.9, 0.9, 0.1])
    call = Selection.__call__
    monkeypatch.setattr(
        Selection,
        "__call__",
        lambda self, step, method: call(Selection(lambda *_: next(values), self.every), step, method),
    )
    settings = protocol(select="best_valid", select_every=2)
    tuning = make(corpus, tmp_path, settings)
    encoder, head = trained(tuning)
    monkeypatch.undo()
    short = replace(tuning, protocol=protocol(select="best_valid", select_every=4, training={"steps": 4}))
    expected, its_head = trained(replace(short, cache=Cache(tmp_path / "other")))
    for mine, other in zip(encoder.state_dict().values(), expected.state_dict().values(), strict=True):
        assert torch.equal(mine, other)
    assert torch.equal(head.weight, its_head.weight)
    last, _ = trained(replace(tuning, protocol=protocol(select="last"), cache=Cache(tmp_path / "third")))
    assert not torch.equal(last.linear.weight, encoder.linear.weight)


def test_the_chosen_step_is_told(corpus: Corpus, tmp_path: Path) -> None:
    outcomes = fine_tune(make(corpus, tmp_path, protocol(select="best_valid", select_every=2)))
    assert {outcome.chosen for outcome in outcomes} <= {2.0, 4.0, 6.0, 8.0}
    assert fine_tune(make(corpus, tmp_path / "last", protocol()))[0].chosen is None


def test_the_curve_is_that_of_shorter_trainings_and_changes_nothing(corpus: Corpus, tmp_path: Path) -> None:
    """The learning rate is constant, so that training for three steps is what the curve sees after three of eight."""
    watched = fine_tune(make(corpus, tmp_path / "watched", protocol(curve_every=3)))
    plain = fine_tune(make(corpus, tmp_path / "plain", protocol()))
    assert same([replace(outcome, curve=plain[0].curve) for outcome in watched], plain)
    for steps in (3, 6, 8):
        tuning = make(corpus, tmp_path / str(steps), protocol(training={"steps": steps}))
        expected = [accuracy(tuning, outcome) for outcome in fine_tune(tuning)]
        assert [dict(outcome.curve.tolist())[steps] for outcome in watched] == expected
    assert [outcome.curve[:, 0].tolist() for outcome in watched] == [[3, 6, 8]] * 2
    assert plain[0].curve.shape == (0, 2)


def test_the_end_of_the_curve_is_the_score_of_the_chosen_weights(corpus: Corpus, tmp_path: Path) -> None:
    tuning = make(corpus, tmp_path, protocol(select="best_valid", select_every=2, curve_every=4))
    for outcome in fine_tune(tuning):
        assert outcome.curve[:, 0].tolist() == [4, 8]
        assert outcome.curve[-1, 1] == accuracy(tuning, outcome)


class _Kill(Exception):
    pass


@pytest.mark.parametrize("select", ["last", "best_valid"])
def test_a_killed_unit_resumes_to_the_same_bytes_and_finished_ones_are_not_trained_again(
    select: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = protocol(select=select, select_every=2, curve_every=2)
    undisturbed = fine_tune(make(corpus, tmp_path / "a", settings))
    steps: list[int] = []
    step = Supervised.step

    def counted(self: Supervised, batch: Batch, generator: torch.Generator) -> Step:
        steps.append(1)
        if len(steps) == 8 + 5:  # in the second unit, after its checkpoint at step 3
            raise _Kill
        return step(self, batch, generator)

    monkeypatch.setattr(Supervised, "step", counted)
    tuning = make(corpus, tmp_path / "b", settings)
    with pytest.raises(_Kill):
        fine_tune(tuning)
    assert list((tuning.cache.root / "checkpoints").iterdir())
    assert same(fine_tune(make(corpus, tmp_path / "b", settings)), undisturbed)
    assert len(steps) == 13 + 5  # steps 4 to 8 of the second unit; none of the first
    assert not list((tuning.cache.root / "checkpoints").iterdir())
    assert same(fine_tune(make(corpus, tmp_path / "b", settings)), undisturbed)
    assert len(steps) == 13 + 5


def test_another_train_size_or_replica_leaves_finished_units(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = protocol(train_sizes=(3,)), protocol(train_sizes=(3, 5), replicas=2, version=2)
    assert finetuning.unit_settings(small) == finetuning.unit_settings(large)
    assert finetuning.unit_settings(small) != finetuning.unit_settings(protocol(freeze="all"))
    first = fine_tune(make(corpus, tmp_path, small))
    count: list[str] = []
    original = finetuning.Trainer.fit

    def counted(self: Any, state: TrainingState) -> None:
        count.append(self.name)
        original(self, state)

    monkeypatch.setattr(finetuning.Trainer, "fit", counted)
    outcomes = fine_tune(make(corpus, tmp_path, large))
    assert len(outcomes) == 8
    assert len(count) == len(set(count)) == 6
    assert same([o for o in outcomes if o.train_size == "3" and o.head_seed == 0], first)


def test_replicas_and_seeds_differ_and_subsets_do_not_depend_on_the_seed(corpus: Corpus, tmp_path: Path) -> None:
    tuning = make(corpus, tmp_path, protocol(replicas=2, train_sizes=(3,)))
    again = make(corpus, tmp_path / "seed", tuning.protocol, seed=1)
    units = []
    for each in (tuning, again):
        material = each.material
        problems, _ = finetuning.problems_of(each.protocol, material, finetuning.Units(material, "clip"), each.seed)
        units.append([finetuning._Unit(each, problem, "k") for problem in problems[:2]])
    (a, b), (c, _) = units
    assert not np.array_equal(a.train, b.train)
    assert np.array_equal(a.train, c.train)
    heads = [unit._method().head() for unit in (a, b, c)]
    assert not torch.equal(heads[0].weight, heads[1].weight)
    assert not torch.equal(heads[0].weight, heads[2].weight)


def test_a_frozen_encoder_does_not_move_at_all(corpus: Corpus, tmp_path: Path) -> None:
    tuning = make(corpus, tmp_path, protocol(freeze="all", training={"steps": 30}))
    encoder, head = trained(tuning)
    for name, value in tuning.encoder.state_dict().items():  # batch-norm's running statistics among them
        assert torch.equal(encoder.state_dict()[name], value), name
    fresh = finetuning._Unit(tuning, trained_problem(tuning), "k")._method().head()
    assert not torch.equal(head.weight, fresh.weight)


def trained_problem(tuning: Tuning) -> Any:
    material = tuning.material
    return finetuning.problems_of(tuning.protocol, material, finetuning.Units(material, "clip"), tuning.seed)[0][0]


def test_first_blocks_stay_and_the_others_learn(corpus: Corpus, tmp_path: Path) -> None:
    tuning = make(corpus, tmp_path, protocol(freeze=1))
    encoder, _ = trained(tuning)
    for name, value in tuning.encoder.norm.state_dict().items():
        assert torch.equal(encoder.norm.state_dict()[name], value), name
    assert not torch.equal(encoder.linear.weight, tuning.encoder.linear.weight)
    named, _ = trained(replace(tuning, protocol=protocol(freeze=("norm",)), cache=Cache(tmp_path / "named")))
    assert torch.equal(named.linear.weight, encoder.linear.weight)


def test_a_frozen_module_is_in_evaluation_mode_while_the_rest_trains() -> None:
    encoder = ToyEncoder()
    tuned = FineTuned(Supervised(SupervisedConfig(), encoder, 2), frozen_modules(encoder, 1), keep_best=True)
    tuned.eval()
    tuned.train()
    assert (encoder.norm.training, encoder.linear.training) == (False, True)
    assert tuned.best is not None
    assert not any(module.training for module in tuned.best.modules())


@pytest.mark.parametrize(("freeze", "message"), [(3, "has 2 blocks, so that 3"), (("layers",), "no module 'layers'")])
def test_what_cannot_be_frozen_is_one_sentence(freeze: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        frozen_modules(ToyEncoder(), freeze)


def test_learning_rates_fall_from_the_top_block_down() -> None:
    encoder = ToyEncoder()
    tuned = FineTuned(Supervised(SupervisedConfig(), encoder, 2), [], keep_best=True)
    settings = protocol(layer_decay=0.5, encoder_lr=0.1)
    optimizer = build_optimizer(Training(**SETTINGS), tuned, parameter_groups(tuned, encoder, settings))
    set_learning_rate(optimizer, 2.0)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(encoder.norm.weight)] == pytest.approx(2.0 * 0.1 * 0.5)
    assert rates[id(encoder.linear.weight)] == pytest.approx(2.0 * 0.1)
    assert rates[id(tuned.head().weight)] == 2.0
    assert len(rates) == 6  # the copy of the best weights is not among them
    assert all(RATE_FACTOR in group for group in optimizer.param_groups)


def test_groups_survive_a_checkpoint(tmp_path: Path) -> None:
    def state(seed: int) -> TrainingState:
        with isolated_torch_seed(seed, "state"):
            encoder = ToyEncoder()
            tuned = FineTuned(Supervised(SupervisedConfig(), encoder, 2), [], keep_best=True)
        groups = parameter_groups(tuned, encoder, protocol(layer_decay=0.5))
        return TrainingState(tuned, build_optimizer(Training(**SETTINGS), tuned, groups), [])

    made, other, checkpoints = state(0), state(1), Checkpoints(tmp_path, "key")
    for parameter in made.method.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    made.optimizer.step()
    made.method.offer(3, 0.5)
    checkpoints.save(made)
    assert checkpoints.restore(other)
    assert other.method.best_value.item() == 0.5
    for name, value in made.method.state_dict().items():
        assert torch.equal(other.method.state_dict()[name], value), name
    for mine, restored in zip(made.optimizer.param_groups, other.optimizer.param_groups, strict=True):
        for a, b in zip(mine["params"], restored["params"], strict=True):
            assert torch.equal(made.optimizer.state[a]["exp_avg"], other.optimizer.state[b]["exp_avg"])
        assert mine[RATE_FACTOR] == restored[RATE_FACTOR]


def test_from_scratch_starts_from_untrained_on_its_own_training_clips(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters are those that pre-training draws; the run's own weights change nothing."""

    def build(name: str, config: Any) -> Encoder:
        return ToyEncoder()

    monkeypatch.setattr(finetuning, "build_encoder", build)
    tuning = make(corpus, tmp_path, protocol(start="random"))
    with isolated_torch_seed(tuning.seed, "encoder", "toy"):
        untrained = ToyEncoder()
    unit = finetuning._Unit(tuning, trained_problem(tuning), "k")
    method = unit._method()
    assert torch.equal(method.encoder.linear.weight, untrained.linear.weight)
    assert not torch.equal(method.encoder.linear.weight, tuning.encoder.linear.weight)
    finetuning._fit_to(method.encoder, unit._data(method.crops()))
    assert not torch.equal(method.encoder.norm.running_mean, untrained.norm.running_mean)
    with isolated_torch_seed(7, "other"):
        other = replace(tuning, encoder=ToyEncoder().eval(), cache=Cache(tmp_path / "other"))
    assert same(fine_tune(tuning), fine_tune(other))


def test_clips_of_several_classes(corpus: Corpus, tmp_path: Path) -> None:
    pitch = np.arange(N - 2) % 2
    labels = np.stack([pitch == 0, pitch == 1, np.ones_like(pitch)], axis=1).astype(np.uint8)
    labels[::3, 2] = 0
    tuning = make(corpus, tmp_path, protocol(select="best_valid", training={"steps": 30}), labels=labels)
    clips = np.arange(N - 2)
    mixed = Fold("0", clips[:24], clips[24:34], clips[34:], clips[:0])
    tuning = replace(tuning, material=replace(tuning.material, folds=(mixed,)))
    [outcome] = fine_tune(tuning)
    assert outcome.scores.shape == (12, 3)
    right = labels[outcome.test][:, :2].argmax(axis=1) == outcome.scores[:, :2].argmax(axis=1)
    assert right.mean() > 0.9


def test_two_classes_are_scored_by_the_second(corpus: Corpus, tmp_path: Path) -> None:
    tuning = make(corpus, tmp_path, protocol(training={"steps": 30}), kind="binary", metric="auc")
    outcome = fine_tune(tuning)[0]
    labels = tuning.material.labels[outcome.test]
    assert outcome.scores.shape == (len(outcome.test), 1)
    assert outcome.scores[labels == 1].min() > outcome.scores[labels == 0].max()


def test_too_few_clips_are_told_and_the_rest_is_scored(corpus: Corpus, tmp_path: Path) -> None:
    outcomes = fine_tune(make(corpus, tmp_path, protocol(train_sizes=(3, 500))))
    assert [(outcome.train_size, bool(outcome.reason)) for outcome in outcomes] == [
        ("3", False),
        ("3", False),
        ("500", True),
        ("500", True),
    ]


def test_training_without_length_is_one_sentence(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no length"):
        fine_tune(make(corpus, tmp_path, protocol(training={"steps": 0})))
