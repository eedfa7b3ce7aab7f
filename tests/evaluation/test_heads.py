from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.evaluation import heads
from benchmark.evaluation.heads import fit_heads, initial_parameters, logits, minibatch_positions
from benchmark.evaluation.linear import LinearClassifiers, TrainingSet

CLASSES = 4
WIDTH = 12
RECIPE = {"lr": 0.01, "steps": 40, "batch_size": 16}


@pytest.fixture
def problem() -> tuple[Tensor, np.ndarray]:
    """Features with offsets and scales that differ, and labels that depend on them."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % CLASSES
    raw = rng.normal(size=(120, WIDTH)) + 2 * rng.normal(size=(CLASSES, WIDTH))[labels]
    return torch.from_numpy((3 + raw * rng.uniform(0.5, 4, WIDTH)).astype(np.float32)), labels


def training_sets(labels: np.ndarray) -> list[TrainingSet]:
    rng = np.random.default_rng(1)
    return [TrainingSet(rows, labels[rows]) for rows in (rng.permutation(len(labels))[:size] for size in (90, 77, 9))]


def trained_alone(features: Tensor, training: TrainingSet, seed: int) -> nn.Linear:
    """The usual way, on features that are already as the head shall see them."""
    head = nn.Linear(features.shape[1], CLASSES)
    for parameter, value in zip(
        (head.weight, head.bias), initial_parameters(seed, features.shape[1], CLASSES), strict=True
    ):
        parameter.data = torch.from_numpy(value.copy())
    optimiser = torch.optim.Adam(head.parameters(), lr=RECIPE["lr"])
    for chosen in minibatch_positions(seed, len(training.rows), int(RECIPE["steps"]), int(RECIPE["batch_size"])):
        optimiser.zero_grad()
        predicted = head(features[training.rows[chosen]])
        loss: Tensor = nn.functional.cross_entropy(predicted, torch.from_numpy(training.labels[chosen]))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return head


def fit(features: Tensor, sets: list[TrainingSet], seeds: list[int], standardise: bool = True) -> LinearClassifiers:
    return fit_heads(features, sets, seeds, CLASSES, lr=0.01, steps=40, batch_size=16, standardise=standardise)


def cross_entropy(classifiers: LinearClassifiers, features: Tensor, labels: np.ndarray) -> float:
    return float(nn.functional.cross_entropy(logits(classifiers, features)[0], torch.from_numpy(labels)))


def test_training_heads_loads_no_graph_compiler() -> None:
    """Loading it takes longer than training the heads of most stages."""
    code = (
        "import sys, numpy, torch\n"
        "from benchmark.config import Machine\n"
        "from benchmark.evaluation.heads import fit_heads\n"
        "from benchmark.evaluation.linear import TrainingSet\n"
        "from benchmark.pretraining.device import deterministic_torch\n"
        "training = TrainingSet(numpy.arange(8), numpy.arange(8) % 2)\n"
        "with deterministic_torch(Machine()):\n"
        "    fit_heads(torch.rand(8, 3), [training], [0], 2, lr=0.1, steps=2, batch_size=4, standardise=True)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("standardise", [True, False])
def test_equals_linear_layers_trained_alone_with_adam(problem: tuple[Tensor, np.ndarray], standardise: bool) -> None:
    features, labels = problem
    sets, seeds = training_sets(labels), [3, 4, 5]
    batched = logits(fit(features, sets, seeds, standardise), features)
    for index, (training, seed) in enumerate(zip(sets, seeds, strict=True)):
        seen = features
        if standardise:
            own = features[training.rows]
            seen = (features - own.mean(0)) / own.std(0, correction=0)
        alone = trained_alone(seen, training, seed)(seen).double()
        torch.testing.assert_close(batched[index], alone, rtol=1e-5, atol=5e-5)  # of logits around 1, in float32


def test_a_head_does_not_depend_on_its_neighbours(
    problem: tuple[Tensor, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = problem
    sets = training_sets(labels) * 2
    seeds = list(range(len(sets)))
    together = fit(features, sets, seeds)
    alone = fit(features, sets[1:2], seeds[1:2])
    torch.testing.assert_close(together.weight[[1]], alone.weight, rtol=1e-6, atol=1e-6)
    monkeypatch.setattr(heads, "_MEMORY", 1)
    torch.testing.assert_close(fit(features, sets, seeds).weight, together.weight, rtol=1e-6, atol=1e-6)


def test_rows_outside_the_training_set_have_no_influence(problem: tuple[Tensor, np.ndarray]) -> None:
    features, labels = problem
    training = training_sets(labels)[1]
    before = fit(features, [training], [0])
    changed = torch.full_like(features, 1e6)
    changed[training.rows] = features[training.rows]
    assert torch.equal(fit(changed, [training], [0]).weight, before.weight)


def test_scale_and_offset_of_a_feature_do_not_matter_when_standardised(problem: tuple[Tensor, np.ndarray]) -> None:
    features, labels = problem
    training = training_sets(labels)[:1]
    moved = features * 8 - 16
    torch.testing.assert_close(
        logits(fit(moved, training, [0]), moved), logits(fit(features, training, [0]), features), rtol=1e-4, atol=1e-4
    )
    raw = logits(fit(moved, training, [0], standardise=False), moved)
    assert not torch.allclose(raw, logits(fit(features, training, [0], standardise=False), features), atol=0.1)


def test_training_lowers_the_loss_and_classifies(problem: tuple[Tensor, np.ndarray]) -> None:
    features, labels = problem
    training = TrainingSet(np.arange(120), labels)
    losses = [
        cross_entropy(
            fit_heads(features, [training], [0], CLASSES, lr=0.01, steps=steps, batch_size=16, standardise=True),
            features,
            labels,
        )
        for steps in (0, 20, 200)
    ]
    assert losses[0] > losses[1] > losses[2]
    classifier = fit_heads(features, [training], [0], CLASSES, lr=0.01, steps=200, batch_size=16, standardise=True)
    assert (classifier.probabilities(0, features).argmax(1) == labels).mean() > 0.95


def test_same_seed_same_bits_and_other_seed_other_head(problem: tuple[Tensor, np.ndarray]) -> None:
    features, labels = problem
    sets = training_sets(labels)[:1] * 2
    first, second = fit(features, sets, [0, 1]), fit(features, sets, [0, 1])
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)
    assert not torch.allclose(first.weight[0], first.weight[1])


def test_a_class_without_training_rows_and_a_single_row(problem: tuple[Tensor, np.ndarray]) -> None:
    features, labels = problem
    seen = np.flatnonzero(labels != 2)
    lacking = TrainingSet(seen, labels[seen])
    single = TrainingSet(seen[:1], labels[seen[:1]])
    classifiers = fit_heads(
        features, [lacking, single], [0, 0], CLASSES, lr=0.01, steps=300, batch_size=16, standardise=True
    )
    assert torch.isfinite(logits(classifiers, features)).all()
    assert 2 not in classifiers.probabilities(0, features)[seen].argmax(1)


def test_a_feature_that_is_constant_in_training_is_harmless(problem: tuple[Tensor, np.ndarray]) -> None:
    features, labels = problem
    features[:, 0] = 7.0
    assert torch.isfinite(logits(fit(features, training_sets(labels), [0, 1, 2]), features)).all()


def test_minibatches_pass_over_the_set_without_replacement() -> None:
    positions = minibatch_positions(seed=5, size=10, steps=5, batch_size=4)
    assert positions.shape == (5, 4)
    for epoch in positions.reshape(2, 10):
        assert sorted(epoch) == list(range(10))
    np.testing.assert_array_equal(minibatch_positions(seed=5, size=10, steps=2, batch_size=4), positions[:2])
    assert minibatch_positions(seed=5, size=3, steps=2, batch_size=4).shape == (2, 3)


def test_initial_weights_are_those_of_a_linear_layer() -> None:
    weight, bias = initial_parameters(seed=0, width=400, n_classes=50)
    reference = nn.Linear(400, 50).weight
    assert weight.shape == (50, 400)
    assert bias.shape == (50,)
    assert np.abs(weight).max() <= 1 / 20
    assert weight.std() == pytest.approx(float(reference.detach().std()), rel=0.02)


def test_every_set_needs_a_seed(problem: tuple[Tensor, np.ndarray]) -> None:
    features, labels = problem
    with pytest.raises(ValueError, match="3 training sets and 1 seeds"):
        fit(features, training_sets(labels), [0])


def test_heads_of_several_labels_minimise_the_binary_cross_entropy_as_linear_layers_do(
    problem: tuple[Tensor, np.ndarray],
) -> None:
    features, labels = problem
    targets = (
        np.eye(CLASSES)[labels] + np.eye(CLASSES)[(labels + 1) % CLASSES] * (np.arange(120) % 3 == 0)[:, None] > 0
    ).astype(np.uint8)
    rng = np.random.default_rng(1)
    sets = [TrainingSet(rows, targets[rows]) for rows in (rng.permutation(120)[:90], rng.permutation(120)[:50])]
    sets.append(TrainingSet(sets[0].rows, 1 - sets[0].labels))
    heads_ = fit(features, sets, [3, 4, 3], standardise=False)
    for index, (training, seed) in enumerate(zip(sets, [3, 4, 3], strict=True)):
        alone = nn.Linear(WIDTH, CLASSES)
        for parameter, value in zip((alone.weight, alone.bias), initial_parameters(seed, WIDTH, CLASSES), strict=True):
            parameter.data = torch.from_numpy(value.copy())
        optimiser = torch.optim.Adam(alone.parameters(), lr=RECIPE["lr"])
        for chosen in minibatch_positions(seed, len(training.rows), 40, 16):
            optimiser.zero_grad()
            predicted = alone(features[training.rows[chosen]])
            wanted = torch.from_numpy(training.labels[chosen]).float()
            nn.functional.binary_cross_entropy_with_logits(predicted, wanted).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        expected = torch.sigmoid(alone(features)).double().detach().numpy()
        np.testing.assert_allclose(heads_.probabilities(index, features), expected, atol=1e-5)
