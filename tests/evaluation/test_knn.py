from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from benchmark.errors import DataError
from benchmark.evaluation import knn
from benchmark.evaluation.knn import intra_set_knn, knn_grid, knn_predict, knn_shares
from benchmark.seeding import torch_stream

CLASSES = 3


def sample(rows: int, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=rows)
    centres = np.random.default_rng(99).normal(size=(CLASSES, 8))
    return torch.from_numpy((centres[labels] + rng.normal(size=(rows, 8))).astype(np.float32)), labels


@pytest.mark.parametrize("memory", [1, 1 << 26])
def test_equals_scikit_learn_for_every_k(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, "_MEMORY", memory)
    (train, labels), (test, _) = sample(90, 0), sample(40, 1)
    ks = [1, 7, 30]
    expected = [KNeighborsClassifier(k, metric="cosine").fit(train.double(), labels).predict(test.double()) for k in ks]
    np.testing.assert_array_equal(knn_grid(train, labels, test, ks, CLASSES), expected)
    np.testing.assert_array_equal(knn_predict(train, labels, test, 7, CLASSES), expected[1])


def test_similarity_ignores_length() -> None:
    train = torch.tensor([[100.0, 0.0], [0.0, 0.1]])
    assert knn_predict(train, np.array([0, 1]), torch.tensor([[1.0, 2.0]]), 1, 2).tolist() == [1]


def test_tied_votes_go_to_the_lowest_class() -> None:
    train = torch.tensor([[1.0, 0.1], [1.0, 0.2], [1.0, 0.3], [1.0, 0.4]])
    assert knn_predict(train, np.array([2, 1, 1, 2]), torch.tensor([[1.0, 0.0]]), 4, CLASSES).tolist() == [1]


def test_equally_near_rows_are_taken_in_their_order() -> None:
    labels = np.array([2, 0, 0, 1, 1, 1, 1])
    train = torch.tensor([[1.0, 0.0]] * 7)
    predictions = knn_grid(train, labels, torch.tensor([[3.0, 0.0]]), [1, 3, 7], CLASSES)
    assert predictions[:, 0].tolist() == [2, 0, 1]


def test_nearer_rows_come_before_those_tied_for_the_last_place() -> None:
    train = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    predictions = knn_grid(train, np.array([1, 0, 2, 0]), torch.tensor([[1.0, 0.0]]), [1, 2], CLASSES)
    assert predictions[:, 0].tolist() == [2, 1]


def test_order_of_the_rows_does_not_matter() -> None:
    (train, labels), (test, _) = sample(90, 0), sample(40, 1)
    order = np.random.default_rng(2).permutation(90)
    np.testing.assert_array_equal(
        knn_grid(train[order], labels[order], test, [5, 20], CLASSES),
        knn_grid(train, labels, test, [5, 20], CLASSES),
    )


def test_more_neighbours_than_rows_means_all_rows() -> None:
    (train, labels), (test, _) = sample(20, 0), sample(5, 1)
    majority = np.bincount(labels, minlength=CLASSES).argmax()
    assert (knn_predict(train, labels, test, 200, CLASSES) == majority).all()


def test_no_neighbours_is_an_error() -> None:
    train, labels = sample(20, 0)
    with pytest.raises(ValueError, match="numbers of neighbours"):
        knn_predict(train, labels, train, 0, CLASSES)


def test_rows_of_the_same_clip_never_vote() -> None:
    """A clip's rows coincide, and the clip nearest to it has the other label: only a leak would classify it right."""
    angle = torch.tensor([0.0, 0.1, 1.5, 1.6]).repeat_interleave(3)
    features = torch.stack([angle.cos(), angle.sin()], dim=1)
    clip_of_row = np.array([40, 7, 12, 3]).repeat(3)
    labels = np.array([0, 1, 0, 1]).repeat(3)
    clips, predictions = intra_set_knn(features, labels, clip_of_row, 3, 2)
    assert clips.tolist() == [3, 7, 12, 40]
    assert predictions.tolist() == [0, 0, 1, 1]


def test_a_set_equals_the_loop_that_leaves_out_one_clip() -> None:
    features, _ = sample(60, 3)
    rng = np.random.default_rng(4)
    clip_of_row = rng.integers(12, size=60)
    labels = rng.integers(CLASSES, size=12)[clip_of_row]
    clips, predictions = intra_set_knn(features, labels, clip_of_row, 9, CLASSES)
    for clip, prediction in zip(clips, predictions, strict=True):
        own = clip_of_row == clip
        reference = KNeighborsClassifier(9, metric="cosine").fit(features[~own].double(), labels[~own])
        assert prediction == np.bincount(reference.predict(features[own].double()), minlength=CLASSES).argmax()


def test_own_rows_do_not_vote_even_when_k_exceeds_the_other_rows() -> None:
    features = torch.tensor([[1.0, 0.0]] * 4 + [[0.0, 1.0]])
    _, predictions = intra_set_knn(features, np.array([1, 1, 1, 1, 0]), np.array([0, 0, 0, 0, 1]), 200, 2)
    assert predictions.tolist() == [0, 1]


def test_order_of_a_set_does_not_matter() -> None:
    features, labels = sample(60, 3)
    clip_of_row = np.arange(60) // 5
    order = np.random.default_rng(5).permutation(60)
    shuffled = intra_set_knn(features[order], labels[order], clip_of_row[order], 9, CLASSES)
    np.testing.assert_array_equal(shuffled, intra_set_knn(features, labels, clip_of_row, 9, CLASSES))


def test_a_single_clip_has_no_neighbours() -> None:
    with pytest.raises(DataError, match="at least two clips"):
        intra_set_knn(torch.eye(3), np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64), 1, 2)


@pytest.mark.parametrize("memory", [1, 1 << 26])
def test_shares_are_scikit_learns_and_decide_as_the_vote_does(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, "_MEMORY", memory)
    (train, labels), (test, _) = sample(90, 0), sample(40, 1)
    for k in (1, 7, 200):
        shares = knn_shares(train, np.eye(CLASSES, dtype=np.uint8)[labels], test, k)
        model = KNeighborsClassifier(min(k, 90), metric="cosine").fit(train.double(), labels)
        np.testing.assert_allclose(shares, model.predict_proba(test.double()), atol=1e-6)
        np.testing.assert_array_equal(shares.argmax(1), knn_predict(train, labels, test, k, CLASSES))


def test_neighbours_of_several_classes_vote_for_each() -> None:
    train = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    targets = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]], np.uint8)
    np.testing.assert_allclose(knn_shares(train, targets, torch.tensor([[1.0, 0.05]]), 2), [[0.5, 1.0, 0.0]])


@pytest.mark.parametrize("columns", [320, 323, 1000])
@pytest.mark.parametrize("tied", [False, True])
def test_the_nearest_are_those_of_a_whole_sort(columns: int, tied: bool) -> None:
    generator = torch_stream(0, "nearest", columns)
    similarity = torch.randn(50, columns, generator=generator)
    if tied:
        similarity = (4 * similarity).round() / 4
        similarity[:, ::7] = -torch.inf
    for k in (1, 5, 9):
        values, order = similarity.sort(dim=1, descending=True, stable=True)
        found, places = knn._nearest(similarity, k)
        assert torch.equal(found, values[:, :k])
        assert torch.equal(places, order[:, :k])
        assert torch.equal(knn._largest(similarity, k)[0], values[:, :k])


def test_long_rows_are_ranked_by_groups() -> None:
    """A row of 320 columns has 40 groups of 8, of which 10 are few enough; here all that is large lies in five of them."""
    similarity = torch.zeros(1, 320)
    similarity[0, ::8] = torch.arange(40.0)
    values, columns = knn._largest(similarity, 10)
    assert values[0].tolist() == [39.0 - place for place in range(10)]
    assert columns[0].tolist() == [312 - 8 * place for place in range(10)]
