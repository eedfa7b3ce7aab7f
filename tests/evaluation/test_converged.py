from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmark.evaluation import converged
from benchmark.evaluation.converged import Solution, fit
from benchmark.evaluation.linear import TrainingSet

CLASSES = 5
GRID = [0.01, 1.0, 30.0]


def overlapping(n: int, width: int, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Correlated features of unequal scale and offset; no class can be told apart without error where n > width."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    raw = rng.normal(size=(n, width)) + 0.5 * rng.normal(size=(CLASSES, width))[labels]
    mixed = raw @ rng.normal(size=(width, width)) * rng.uniform(0.1, 9, width) + 5
    return torch.from_numpy(mixed.astype(np.float32)), labels


def reference(features: torch.Tensor, training: TrainingSet, c: float, asked: torch.Tensor) -> np.ndarray:
    """scikit-learn's probabilities, as if every class were there."""
    scaler = StandardScaler().fit(features.double().numpy()[training.rows])
    model = LogisticRegression(C=c, tol=1e-10, max_iter=20_000)
    model.fit(scaler.transform(features.double().numpy()[training.rows]), training.labels)
    found = np.zeros((len(asked), CLASSES))
    found[:, model.classes_] = model.predict_proba(scaler.transform(asked.double().numpy()))
    return found


def solve(features: torch.Tensor, sets: list[TrainingSet], grid: list[float], **options: float) -> Solution:
    return fit(features, sets, np.tile(np.array(grid), (len(sets), 1)), CLASSES, tolerance=1e-6, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "width"), [(150, 8), (40, 60)])
def test_every_problem_of_a_grid_is_scikit_learns(n: int, width: int) -> None:
    features, labels = overlapping(n, width)
    folds = [np.flatnonzero(np.arange(n) // CLASSES % 3 != fold) for fold in range(3)]
    sets = [TrainingSet(rows, labels[rows]) for rows in folds]
    solution = solve(features, sets, GRID)
    for index, training in enumerate(sets):
        asked = features[np.setdiff1d(np.arange(n), training.rows)]
        for column, c in enumerate(GRID):
            ours = solution.classifiers.probabilities(index * len(GRID) + column, asked)
            theirs = reference(features, training, c, asked)
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
            assert (ours.argmax(1) == theirs.argmax(1)).all()
    assert solution.residual.max() <= 1e-6


def test_coefficients_agree_with_scikit_learn() -> None:
    features, labels = overlapping(150, 8)
    solution = fit(features, [TrainingSet(np.arange(150), labels)], np.array([[1.0]]), CLASSES, standardise=False,
                   tolerance=1e-7)  # fmt: skip
    model = LogisticRegression(C=1.0, tol=1e-10, max_iter=20_000).fit(features.double().numpy(), labels)
    np.testing.assert_allclose(solution.classifiers.weight[0], model.coef_, atol=1e-4)
    difference = solution.classifiers.bias[0].numpy() - model.intercept_
    np.testing.assert_allclose(difference - difference.mean(), 0, atol=1e-3)


def test_the_gradient_vanishes_at_the_solution() -> None:
    """Optimality in closed form: the penalty's gradient balances the residuals', for each class."""
    features, labels = overlapping(90, 6)
    found = fit(features, [TrainingSet(np.arange(90), labels)], np.array([[3.0]]), CLASSES, standardise=False,
                tolerance=1e-8).classifiers  # fmt: skip
    residual = found.probabilities(0, features) - np.eye(CLASSES)[labels]
    gradient = 3.0 * residual.T @ features.double().numpy() + found.weight[0].numpy()
    assert np.abs(gradient).max() < 1e-4
    assert np.abs(residual.sum(0)).max() < 1e-5


def test_a_class_that_a_subset_lacks_gets_no_probability() -> None:
    features, labels = overlapping(150, 8)
    rows = np.flatnonzero(labels != 2)
    training = TrainingSet(rows, labels[rows])
    ours = solve(features, [training, TrainingSet(np.arange(150), labels)], [1.0]).classifiers.probabilities(
        0, features
    )
    assert (ours[:, 2] == 0).all()
    np.testing.assert_allclose(ours, reference(features, training, 1.0, features), atol=1e-4)


def test_one_clip_a_class_and_a_single_class() -> None:
    features, labels = overlapping(150, 8)
    one_each = TrainingSet(np.arange(CLASSES), labels[:CLASSES])
    ours = solve(features, [one_each], [1.0]).classifiers.probabilities(0, features)
    np.testing.assert_allclose(ours, reference(features, one_each, 1.0, features), atol=1e-4)
    alone = TrainingSet(np.array([1, 6]), np.array([1, 1]))
    assert (solve(features, [alone], [1.0]).classifiers.probabilities(0, features)[:, 1] == 1).all()


def test_two_classes_are_scikit_learns_at_twice_the_strength() -> None:
    features, labels = overlapping(80, 6)
    rows = np.flatnonzero(labels < 2)
    training = TrainingSet(rows, labels[rows])
    ours = solve(features, [training], [1.0]).classifiers.probabilities(0, features)
    np.testing.assert_allclose(ours, reference(features, training, 2.0, features), atol=1e-4)


def test_features_without_information_give_the_majority_class() -> None:
    labels = np.array([0, 1, 1, 2, 1, 0])
    features = torch.full((6, 3), 0.3)
    ours = solve(features, [TrainingSet(np.arange(6), labels)], [0.1]).classifiers.probabilities(0, features)
    np.testing.assert_allclose(ours, np.tile(np.bincount(labels, minlength=CLASSES) / 6, (6, 1)), atol=1e-6)


def test_equally_frequent_classes_without_information_tie_exactly() -> None:
    labels = np.arange(40) % CLASSES
    ours = solve(torch.zeros(40, 1), [TrainingSet(np.arange(40), labels)], [0.01, 1.0])
    assert (ours.classifiers.probabilities(1, torch.zeros(3, 1)).argmax(1) == 0).all()


def test_repeated_and_constant_features_do_not_disturb() -> None:
    features, labels = overlapping(60, 5)
    widened = torch.cat([features, features, torch.ones(60, 2)], 1)
    training = TrainingSet(np.arange(60), labels)
    ours = solve(widened, [training], [1.0]).classifiers.probabilities(0, widened)
    np.testing.assert_allclose(ours, reference(widened, training, 1.0, widened), atol=1e-4)


def test_a_problem_does_not_depend_on_its_company(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = overlapping(150, 8)
    sets = [TrainingSet(rows, labels[rows]) for rows in (np.arange(100), np.arange(30, 150), np.arange(20))]
    together = solve(features, sets, GRID).classifiers
    monkeypatch.setattr(converged, "_MEMORY", 1)
    apart = [solve(features, [training], [c]).classifiers for training in sets for c in GRID]
    for index, alone in enumerate(apart):
        np.testing.assert_allclose(together.weight[index], alone.weight[0], atol=2e-5)


def test_two_solutions_have_the_same_bits() -> None:
    features, labels = overlapping(150, 8)
    sets = [TrainingSet(rows, labels[rows]) for rows in (np.arange(100), np.arange(30, 150))]
    first, second = (solve(features, sets, GRID).classifiers for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_separable_classes_converge_at_weak_regularisation() -> None:
    features, labels = overlapping(40, 60)
    solution = fit(features, [TrainingSet(np.arange(40), labels)], np.array([[1e-4, 1e4]]), CLASSES)
    assert solution.residual.max() <= 1e-3
    assert (solution.classifiers.probabilities(1, features).argmax(1) == labels).all()


def test_the_limit_of_iterations_is_kept_and_told() -> None:
    features, labels = overlapping(150, 8)
    solution = fit(features, [TrainingSet(np.arange(150), labels)], np.array([[10.0]]), CLASSES, tolerance=1e-9,
                   max_iterations=2)  # fmt: skip
    assert solution.iterations <= 4
    assert solution.residual[0, 0] > 1e-9


def several_labels(n: int, width: int) -> tuple[torch.Tensor, np.ndarray]:
    """Features as above, and targets of five classes a row: frequent, rare, a single row, none, all."""
    features, _ = overlapping(n, width)
    rng = np.random.default_rng(7)
    raw = features.double().numpy()
    strength = (raw - raw.mean(0)) / raw.std(0) @ rng.normal(size=(width, CLASSES)) + rng.normal(size=(n, CLASSES))
    targets = (strength > np.quantile(strength, [0.5, 0.9, 1 - 1.0 / n, 1.0, 0.0], axis=0).diagonal()).astype(np.uint8)
    targets[:, 4] = 1
    return features, targets


@pytest.mark.parametrize(("n", "width"), [(150, 8), (40, 60)])
def test_one_against_the_rest_is_scikit_learns_class_by_class(n: int, width: int) -> None:
    features, targets = several_labels(n, width)
    assert targets.sum(0)[2:].tolist() == [1, 0, n]
    solution = solve(features, [TrainingSet(np.arange(n), targets)], GRID)
    scaled = StandardScaler().fit_transform(features.double().numpy())
    for column, c in enumerate(GRID):
        ours = solution.classifiers.probabilities(column, features)
        for number in range(3):
            model = LogisticRegression(C=c, tol=1e-10, max_iter=20_000).fit(scaled, targets[:, number])
            np.testing.assert_allclose(ours[:, number], model.predict_proba(scaled)[:, 1], atol=2e-4)
        assert (ours[:, 3] == 0).all()  # no row has it
        assert (ours[:, 4] == 1).all()  # every row has it
    assert solution.residual.max() <= 1e-6


def test_one_against_the_rest_does_not_depend_on_the_grid_around_it() -> None:
    features, targets = several_labels(120, 8)
    sets = [TrainingSet(rows, targets[rows]) for rows in (np.arange(100), np.arange(20, 120))]
    together = solve(features, sets, [0.01, 1.0]).classifiers
    alone = solve(features, sets[1:], [1.0]).classifiers
    np.testing.assert_allclose(together.probabilities(3, features), alone.probabilities(0, features), atol=1e-4)
