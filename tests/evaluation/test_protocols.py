from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmark.config import Protocol
from benchmark.corpus.splits import Fold
from benchmark.evaluation import protocols
from benchmark.evaluation.embedding import Embeddings
from benchmark.evaluation.metrics import mean_average_precision
from benchmark.evaluation.protocols import Material, Outcome, Units, best_candidate, run_protocol
from benchmark.evaluation.rows import score_rows

CLASSES, CLIPS, SLICES = 3, 60, 3
PROTOCOLS: dict[str, dict[str, Any]] = {
    "converged": {"head": "converged", "regularisers": (0.01, 1.0)},
    "adam": {"head": "adam", "lr": 0.05, "steps": 60, "batch_size": 16, "unit": "slice", "replicas": 2},
    "knn": {"head": "knn", "neighbours": (1, 5, 200)},
    "few": {"head": "converged", "regularisers": (0.1,), "train_sizes": (2, 4, "full"), "replicas": 3},
}


def protocol(name: str = "converged", **changes: Any) -> Protocol:
    return Protocol(**{**PROTOCOLS[name], **changes})


def folds() -> tuple[Fold, ...]:
    """Three folds, each clip tested once."""
    part = np.arange(CLIPS) // CLASSES % 3
    nothing = np.empty(0, np.int64)
    made = []
    for number in range(3):
        rest = np.flatnonzero(part != number)
        valid = np.isin(rest // CLASSES % 6, [(number + 1) % 3])
        made.append(Fold(str(number + 1), rest[~valid], rest[valid], np.flatnonzero(part == number), nothing))
    return tuple(made)


@pytest.fixture
def material() -> Material:
    """Clips of three slices each whose classes overlap a little."""
    generator = np.random.default_rng(0)
    labels = np.arange(CLIPS) % CLASSES
    centres = 2.0 * generator.normal(size=(CLASSES, 6))
    of_slice = np.repeat(np.arange(CLIPS), SLICES)
    slices = 4 + centres[labels[of_slice]] + 1.5 * generator.normal(size=(len(of_slice), 6))
    embeddings = Embeddings(slices.astype(np.float32), of_slice, np.zeros(len(of_slice), bool))
    return Material(embeddings, labels, CLASSES, folds(), "task", None)


def voted_in_plain_python(material: Material, k: int) -> list[int]:
    """Cosine similarity, slices of other clips, first row first among equals, lowest class first among ties."""
    of_slice = material.embeddings.clip_of_slice.tolist()
    rows = [[x / math.hypot(*row) for x in row] for row in material.embeddings.slices.astype(float).tolist()]
    by_clip: list[list[int]] = [[] for _ in material.labels]
    for query, clip in enumerate(of_slice):
        others = [
            (-sum(a * b for a, b in zip(rows[query], rows[n], strict=True)), n)
            for n, c in enumerate(of_slice)
            if c != clip
        ]
        votes = Counter(int(material.labels[of_slice[n]]) for _, n in sorted(others)[:k])
        by_clip[clip].append(max(sorted(votes), key=lambda label: votes[label]))
    return [max(range(CLASSES), key=lambda label: (votes.count(label), -label)) for votes in by_clip]


@pytest.mark.parametrize("k", [1, 4, 200])
def test_a_vote_within_the_set_is_the_plain_loop_over_all_folds_test_clips(material: Material, k: int) -> None:
    [outcome] = run_protocol(Protocol(head="intra_knn", unit="slice", neighbours=(k,)), material, 0)
    assert outcome.fold == "set"
    assert outcome.test.tolist() == list(range(CLIPS))
    assert outcome.predictions.tolist() == voted_in_plain_python(material, k)


def test_a_vote_within_a_single_test_part_knows_no_other_clips(material: Material) -> None:
    alone = replace(material, folds=material.folds[:1])
    [outcome] = run_protocol(Protocol(head="intra_knn", neighbours=(5,)), alone, 0)
    test = alone.folds[0].test
    assert outcome.test.tolist() == test.tolist()
    own = np.isin(material.embeddings.clip_of_slice, test)
    clip = np.searchsorted(test, material.embeddings.clip_of_slice[own])
    embeddings = Embeddings(material.embeddings.slices[own], clip, np.zeros(own.sum(), bool))
    small = Material(embeddings, material.labels[test], CLASSES, folds(), "task", None)
    assert outcome.predictions.tolist() == voted_in_plain_python(small, 5)


def test_a_probed_run_is_scored_by_the_epochs_that_were_kept(material: Material) -> None:
    probed = np.stack([material.labels, np.zeros(CLIPS, np.int64)])
    outcomes = run_protocol(Protocol(head="intra_knn", neighbours=(5,)), replace(material, probed=probed), 0)
    assert [outcome.head_seed for outcome in outcomes] == [0, 1]
    values = [
        [row["value"] for row in score_rows({}, o, material, "") if row["metric"] == "accuracy"] for o in outcomes
    ]
    assert values == [[1.0], [pytest.approx(1 / CLASSES)]]


def accuracies(outcomes: list[Outcome], material: Material) -> np.ndarray:
    return np.array([(outcome.predictions == material.labels[outcome.test]).mean() for outcome in outcomes])


def same(first: list[Outcome], second: list[Outcome]) -> bool:
    return all(
        np.array_equal(a.predictions, b.predictions) and np.array_equal(a.slice_predictions, b.slice_predictions)
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_head_learns_and_predicts_each_test_clip(name: str, material: Material) -> None:
    outcomes = run_protocol(protocol(name), material, 0)
    assert accuracies(outcomes, material).mean() > 0.75
    for outcome in outcomes:
        expected = {fold.name: fold.test for fold in material.folds}[outcome.fold]
        assert outcome.test.tolist() == expected.tolist()
        assert len(outcome.predictions) == len(expected)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_test_labels_change_nothing_but_the_score(name: str, material: Material) -> None:
    """Nothing that is chosen or trained may look at a test label: one fold, its test labels permuted."""
    one = replace(material, folds=material.folds[:1])
    labels = one.labels.copy()
    labels[one.folds[0].test] = (labels[one.folds[0].test] + 1) % CLASSES
    before, after = run_protocol(protocol(name), one, 0), run_protocol(protocol(name), replace(one, labels=labels), 0)
    assert same(before, after)
    assert [outcome.chosen for outcome in before] == [outcome.chosen for outcome in after]
    assert accuracies(before, one).mean() > 0.7 > 0.3 > accuracies(after, replace(one, labels=labels)).mean()


@pytest.mark.parametrize("name", ["converged", "knn"])
def test_test_features_do_not_reach_the_training(name: str, material: Material) -> None:
    """Standardisation and training come from the training part alone: another test clip leaves the others' fate."""
    one = replace(material, folds=material.folds[:1])
    slices = one.embeddings.slices.copy()
    spoilt = one.folds[0].test[0]
    slices[one.embeddings.clip_of_slice == spoilt] = 1e4
    other = replace(one, embeddings=replace(one.embeddings, slices=slices))
    before, after = run_protocol(protocol(name), one, 0)[0], run_protocol(protocol(name), other, 0)[0]
    assert before.predictions[1:].tolist() == after.predictions[1:].tolist()
    assert before.chosen == after.chosen


@pytest.mark.parametrize("name", PROTOCOLS)
def test_two_runs_are_equal(name: str, material: Material) -> None:
    assert same(run_protocol(protocol(name), material, 0), run_protocol(protocol(name), material, 0))


def test_the_best_candidate_is_returned_not_the_last() -> None:
    labels = np.array([0, 1, 1])
    right = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    unsure = np.array([[0.6, 0.4], [0.4, 0.6], [0.4, 0.6]])
    wrong = right[:, ::-1]
    assert best_candidate([wrong, right, wrong], labels) == 1
    assert best_candidate([unsure, right, wrong], labels) == 1  # equal accuracy: lower log-loss
    assert best_candidate([right, right, right], labels) == 0  # equal in both: the strongest regularisation


def test_the_regulariser_is_chosen_by_validation(material: Material) -> None:
    outcomes = run_protocol(protocol(regularisers=(1e-6, 1.0)), material, 0)
    assert {outcome.chosen for outcome in outcomes} == {1.0}


def test_a_slice_protocol_scores_slices_and_clips(material: Material) -> None:
    outcome = run_protocol(protocol("adam"), material, 0)[0]
    rows = list(score_rows({}, outcome, material, ""))
    counts = {(row["unit"], row["metric"]): row["n"] for row in rows}
    assert counts == {
        (unit, metric): len(outcome.test) * (SLICES if unit == "slice" else 1)
        for unit in ("clip", "slice")
        for metric in ("accuracy", "class_mean_accuracy")
    }


def test_train_sizes_and_replicas_span_the_grid(material: Material) -> None:
    outcomes = run_protocol(protocol("few"), material, 0)
    grid = [(outcome.fold, outcome.train_size, outcome.head_seed) for outcome in outcomes]
    few = [(fold, size, seed) for fold in "123" for size in ("2", "4") for seed in range(3)]
    assert sorted(grid) == sorted([*few, *[(fold, "full", 0) for fold in "123"]])  # nothing varies on all clips


def test_a_subset_that_cannot_be_drawn_says_why_and_the_rest_is_scored(material: Material) -> None:
    outcomes = run_protocol(protocol("few", train_sizes=(2, 500), replicas=1), material, 0)
    failed = [outcome for outcome in outcomes if outcome.reason]
    assert len(failed) == 3
    assert "500" in failed[0].reason
    row = next(score_rows({}, failed[0], material, ""))
    assert (row["status"], row["value"], row["n"]) == ("not run", None, 0)


def test_shuffled_labels_score_at_chance(material: Material) -> None:
    shuffled = run_protocol(protocol(shuffled_labels=True, replicas=8), material, 0)
    assert len({tuple(outcome.predictions) for outcome in shuffled if outcome.fold == "1"}) > 1
    assert 0.15 < accuracies(shuffled, material).mean() < 0.55
    assert accuracies(run_protocol(protocol(), material, 0), material).mean() > 0.8


def test_the_own_classifier_is_applied_to_slices_and_averaged(material: Material) -> None:
    head = nn.Linear(6, CLASSES)
    outcomes = run_protocol(Protocol(head="own", unit="slice"), replace(material, head=head), 0)
    with torch.no_grad():
        shares = head(torch.from_numpy(material.embeddings.slices)).softmax(1).numpy().reshape(CLIPS, SLICES, CLASSES)
    for outcome in outcomes:
        assert outcome.predictions.tolist() == shares.mean(1)[outcome.test].argmax(1).tolist()
        assert outcome.slice_predictions.tolist() == shares[outcome.test].argmax(2).reshape(-1).tolist()


def scikit_learns(material: Material, fold: Fold, grid: tuple[float, ...]) -> tuple[float, np.ndarray]:
    """C and test predictions."""
    clips, labels = material.embeddings.clips.astype(np.float64), material.labels

    def probabilities(c: float, known: np.ndarray, asked: np.ndarray) -> np.ndarray:
        scaler = StandardScaler().fit(clips[known])
        model = LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(scaler.transform(clips[known]), labels[known])
        return model.predict_proba(scaler.transform(clips[asked]))

    def merit(c: float) -> tuple[float, float]:
        found = probabilities(c, fold.train, fold.valid)
        return (found.argmax(1) == labels[fold.valid]).mean(), -log_loss(labels[fold.valid], found)

    best = max(grid, key=merit)
    return best, probabilities(best, np.concatenate([fold.train, fold.valid]), fold.test).argmax(1)


def test_converged_heads_are_scikit_learns(material: Material) -> None:
    grid = (0.001, 0.03, 1.0)
    outcomes = run_protocol(protocol(regularisers=grid[::-1]), material, 0)
    for outcome, fold in zip(outcomes, material.folds, strict=True):
        chosen, predictions = scikit_learns(material, fold, grid)
        assert outcome.chosen == chosen
        assert outcome.predictions.tolist() == predictions.tolist()


def test_the_stronger_of_equal_regularisers_wins(material: Material) -> None:
    blank = replace(material.embeddings, slices=np.ones_like(material.embeddings.slices))
    outcomes = run_protocol(protocol(regularisers=(1000.0, 0.001)), replace(material, embeddings=blank), 0)
    assert {outcome.chosen for outcome in outcomes} == {0.001}


def test_neighbours_are_chosen_on_validation_and_are_scikit_learns(material: Material) -> None:
    clips, labels = material.embeddings.clips.astype(np.float64), material.labels
    for outcome, fold in zip(
        run_protocol(protocol("knn", neighbours=(1, 5, 15)), material, 0), material.folds, strict=True
    ):
        scaled = StandardScaler().fit(clips[fold.train]).transform(clips)

        def vote(k: int, known: np.ndarray, scaled: np.ndarray = scaled) -> KNeighborsClassifier:
            return KNeighborsClassifier(k, metric="cosine").fit(scaled[known], labels[known])

        merits = {k: vote(k, fold.train).score(scaled[fold.valid], labels[fold.valid]) for k in (1, 5, 15)}
        k = int(outcome.chosen or 0)
        assert merits[k] == max(merits.values())
        expected = vote(k, np.concatenate([fold.train, fold.valid])).predict(scaled[fold.test])
        assert outcome.predictions.tolist() == expected.tolist()


def test_subsets_are_nested_and_the_same_for_all_seeds_of_pretraining(material: Material) -> None:
    one = replace(material, folds=material.folds[:1])
    settings = protocol("few", replicas=2)
    drawn = []
    for seed in (0, 1):
        problems, _ = protocols.problems_of(settings, one, Units(one, "clip"), seed)
        drawn.append({(problem.train_size, problem.replica): set(problem.train.tolist()) for problem in problems})
    assert drawn[0] == drawn[1]
    for replica in range(2):
        assert drawn[0][2, replica] < drawn[0][4, replica] < drawn[0]["full", 0]
    assert drawn[0][2, 0] != drawn[0][2, 1]


def test_units_of_clips_with_unequal_numbers_of_slices() -> None:
    embeddings = Embeddings(np.zeros((6, 2), np.float32), np.array([0, 0, 1, 2, 2, 2]), np.zeros(6, bool))
    units = Units(Material(embeddings, np.array([0, 1, 2]), 3, (), "task", None), "slice")
    asked = units.of(np.array([2, 0]))
    assert asked.tolist() == [3, 4, 5, 0, 1]
    assert units.of(np.empty(0, np.int64)).size == 0
    shares = np.array([[1.0], [2.0], [6.0], [1.0], [3.0]])
    assert units.clip_probabilities(asked, shares).tolist() == [[3.0], [2.0]]


def test_without_a_classifier_there_is_no_own_head(material: Material) -> None:
    with pytest.raises(ValueError, match="the run has none"):
        run_protocol(Protocol(head="own"), material, 0)


@pytest.fixture
def tagged(material: Material) -> Material:
    """The same clips, each of its class and of every third a second one."""
    targets = np.eye(CLASSES, dtype=np.uint8)[material.labels]
    targets[::3, 0] = 1
    return replace(material, labels=targets, kind="multi", metric="map")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_head_learns_several_labels(name: str, tagged: Material) -> None:
    for outcome in run_protocol(protocol(name), tagged, 0):
        targets = tagged.labels[outcome.test]
        assert outcome.scores.shape == targets.shape
        assert outcome.scores.dtype == np.float32
        prior = targets.mean(0).mean()
        assert mean_average_precision(targets, outcome.scores) > prior + 0.2
        assert outcome.slices.size == 0


@pytest.mark.parametrize("name", PROTOCOLS)
def test_test_labels_change_nothing_but_the_score_of_several_labels_either(name: str, tagged: Material) -> None:
    one = replace(tagged, folds=tagged.folds[:1])
    labels = one.labels.copy()
    labels[one.folds[0].test] = 1 - labels[one.folds[0].test]
    before, after = run_protocol(protocol(name), one, 0), run_protocol(protocol(name), replace(one, labels=labels), 0)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a.scores, b.scores)
        assert a.chosen == b.chosen


def test_shuffled_targets_of_several_labels_score_at_chance(tagged: Material) -> None:
    shuffled = run_protocol(protocol(shuffled_labels=True, replicas=8), tagged, 0)
    found = [mean_average_precision(tagged.labels[o.test], o.scores) for o in shuffled]
    true = [mean_average_precision(tagged.labels[o.test], o.scores) for o in run_protocol(protocol(), tagged, 0)]
    assert np.mean(found) < np.mean(true) - 0.2


def test_the_tasks_metric_chooses_on_validation() -> None:
    """Two candidates of which one ranks better and the other has the lower loss."""
    targets = np.array([[1], [0], [0], [1]])
    ranks_better = np.array([[0.011], [0.009], [0.008], [0.012]])
    lower_loss = np.array([[0.9], [0.1], [0.6], [0.59]])
    assert best_candidate([lower_loss, ranks_better], targets, "map") == 1
    assert best_candidate([ranks_better, lower_loss], np.zeros((4, 1), int), "map") == 0  # undefined: the loss decides


def test_a_binary_task_keeps_the_positive_classs_score(material: Material) -> None:
    labels = (material.labels > 0).astype(np.int64)
    binary = replace(material, labels=labels, n_classes=2, kind="binary", metric="auc")
    for name in ("converged", "knn"):
        for outcome in run_protocol(protocol(name), binary, 0):
            assert outcome.scores.shape == (len(outcome.test), 1)
            rows = {row["metric"]: row["value"] for row in score_rows({}, outcome, binary, "")}
            assert next(iter(rows)) == "auc"
            assert set(rows) == {"auc", "dprime", "accuracy", "class_mean_accuracy"}
            assert rows["auc"] == pytest.approx(roc_auc_score(labels[outcome.test], outcome.scores[:, 0]))
            assert rows["auc"] > 0.7


def test_many_classes_are_scored_by_top_5() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(75) % 25
    slices = (np.eye(25)[labels] + 0.7 * generator.normal(size=(75, 25))).astype(np.float32)
    nothing = np.empty(0, np.int64)
    fold = Fold("1", np.arange(25), np.arange(25, 50), np.arange(50, 75), nothing)
    many = Material(Embeddings(slices, np.arange(75), np.zeros(75, bool)), labels, 25, (fold,), "task", None)
    (outcome,) = run_protocol(protocol("knn", neighbours=(50,)), many, 0)
    rows = {row["metric"]: row["value"] for row in score_rows({}, outcome, many, "")}
    assert list(rows) == ["accuracy", "class_mean_accuracy", "top5"]
    assert rows["accuracy"] == (outcome.ranks == 0).mean()  # the prediction has rank 0
    assert rows["accuracy"] <= rows["top5"] == (outcome.ranks < 5).mean() < 1


@pytest.mark.parametrize("name", ["converged", "knn"])
def test_a_feature_that_says_nothing_ranks_every_clip_alike(name: str, tagged: Material) -> None:
    """The majority baseline of several labels: each class has its prior, and average precision is its frequency."""
    blank = replace(tagged, embeddings=replace(tagged.embeddings, slices=np.ones_like(tagged.embeddings.slices)))
    for outcome, fold in zip(run_protocol(protocol(name), blank, 0), tagged.folds, strict=True):
        assert np.ptp(outcome.scores, axis=0).max() < 1e-6
        targets = tagged.labels[outcome.test]
        assert mean_average_precision(targets, outcome.scores) == pytest.approx(targets.mean(0).mean())
        if name == "converged":
            learnt = tagged.labels[np.concatenate([fold.train, fold.valid])]
            np.testing.assert_allclose(outcome.scores[0], learnt.mean(0), atol=1e-3)
