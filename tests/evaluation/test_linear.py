from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.evaluation.linear import LinearClassifiers, TrainingSet, statistics


def test_statistics_are_those_of_the_training_rows_alone() -> None:
    features = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    rows = np.arange(0, 20, 2)
    expected = features.numpy()[rows].astype(np.float64)
    features[1::2] = 1e6
    mean, deviation = statistics(features, rows, standardise=True)
    np.testing.assert_allclose(mean, expected.mean(0), rtol=1e-12)
    np.testing.assert_allclose(deviation, expected.std(0), rtol=1e-12)


def test_a_constant_feature_keeps_its_scale() -> None:
    features = torch.full((7, 2), 0.1)
    features[:, 1] = torch.arange(7)
    assert statistics(features, np.arange(7), standardise=True)[1].tolist() == [1.0, 2.0]


def test_without_standardisation_nothing_changes() -> None:
    mean, deviation = statistics(torch.randn(5, 2), np.arange(5), standardise=False)
    assert mean.tolist() == [0.0, 0.0]
    assert deviation.tolist() == [1.0, 1.0]


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    weight, bias = torch.eye(3, 2, dtype=torch.float64)[None], torch.tensor([[0.0, 1.0, -torch.inf]]).double()
    found = LinearClassifiers(weight, bias).probabilities(0, torch.tensor([[2.0, 1.0]]))
    assert found == pytest.approx(np.array([[0.5, 0.5, 0.0]]))


@pytest.mark.parametrize(("rows", "labels"), [([], []), ([1, 2], [0])])
def test_a_training_set_without_rows_or_labels_is_refused(rows: list[int], labels: list[int]) -> None:
    with pytest.raises(ValueError, match="training set"):
        TrainingSet(np.array(rows, np.int64), np.array(labels, np.int64))
