from __future__ import annotations

import numpy as np
import pytest

from benchmark.evaluation.diagnostics import (
    alignment,
    dataset_identity,
    diagnose,
    effective_rank,
    normalised,
    uniformity,
)
from benchmark.evaluation.embedding import Embeddings


def embeddings(slices: np.ndarray, clips: int) -> Embeddings:
    clip = np.repeat(np.arange(clips), len(slices) // clips)
    return Embeddings(slices.astype(np.float32), clip, np.zeros(len(slices), bool))


def test_effective_rank_of_known_spectra() -> None:
    axes = np.concatenate([np.eye(6), -np.eye(6)])
    assert effective_rank(axes) == pytest.approx(6.0)
    assert effective_rank(axes[:, :1] @ np.ones((1, 4))) == pytest.approx(1.0)
    assert effective_rank(np.full((5, 3), 2.0)) == 1.0
    variances = np.array([9.0, 1.0])
    shares = variances / variances.sum()
    stretched = np.concatenate([np.diag([3.0, 1.0]), -np.diag([3.0, 1.0])])
    assert effective_rank(stretched) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_effective_rank_ignores_an_offset() -> None:
    values = np.random.default_rng(0).normal(size=(50, 5))
    assert effective_rank(values + 100) == pytest.approx(effective_rank(values), rel=1e-6)


def test_alignment_of_known_angles() -> None:
    first = np.array([[1.0, 0.0], [1.0, 0.0]])
    second = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert alignment(first, first) == 0.0
    assert alignment(first, second) == pytest.approx((0 + 2) / 2)


def test_uniformity_of_collapsed_and_opposite_points() -> None:
    generator = np.random.default_rng(0)
    assert uniformity(np.tile([[1.0, 0.0]], (9, 1)), generator) == pytest.approx(0.0)
    assert uniformity(np.array([[1.0, 0.0], [-1.0, 0.0]]), generator) == pytest.approx(-8.0)


def test_normalised_rows_have_unit_length_but_for_zeros() -> None:
    assert normalised(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[0.6, 0.8], [0.0, 0.0]]


def test_collapse_is_visible() -> None:
    generator = np.random.default_rng(0)
    spread = diagnose(embeddings(generator.normal(size=(200, 16)), 50), 0)
    collapsed = diagnose(embeddings(np.ones((200, 16)) + 1e-4 * generator.normal(size=(200, 16)), 50), 0)
    assert spread["dimension_std"] == pytest.approx(1.0, abs=0.1)
    assert collapsed["dimension_std"] < 1e-3
    assert spread["uniformity"] < -2 < collapsed["uniformity"]
    assert spread["alignment"] == pytest.approx(2.0, abs=0.3)


def test_what_is_undefined_is_left_out() -> None:
    one_slice_each = diagnose(embeddings(np.eye(4), 4), 0)
    assert "alignment" not in one_slice_each
    assert "uniformity" not in diagnose(embeddings(np.eye(1), 1), 0)


def test_silent_share_counts_slices() -> None:
    found = Embeddings(np.eye(4, dtype=np.float32), np.arange(4), np.array([True, False, False, False]))
    assert diagnose(found, 0)["silent_share"] == 0.25


@pytest.mark.parametrize(("offset", "low", "high"), [(0.0, 0.3, 0.7), (5.0, 0.99, 1.0)])
def test_a_probe_tells_corpora_apart_only_where_they_differ(offset: float, low: float, high: float) -> None:
    generator = np.random.default_rng(0)
    clips = {
        name: (generator.normal(size=(120, 8)) + at).astype(np.float32) for name, at in (("a", 0.0), ("b", offset))
    }
    groups = {name: np.array([f"{name}{number // 2}" for number in range(120)], dtype=object) for name in clips}
    assert low <= dataset_identity(clips, groups, 0) <= high


def test_the_probe_is_tested_on_unseen_sources() -> None:
    """Clips of one source are equal, and sources carry no sign of their corpus: memorising them must not help."""
    generator = np.random.default_rng(1)
    sources = {name: generator.normal(size=(20, 64)) for name in ("a", "b")}
    clips = {name: np.repeat(values, 6, 0).astype(np.float32) for name, values in sources.items()}
    groups = {name: np.repeat([f"{name}{number}" for number in range(20)], 6).astype(object) for name in sources}
    assert dataset_identity(clips, groups, 0) < 0.8
