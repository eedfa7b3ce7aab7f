import numpy as np
import pytest
import torch

from benchmark.pretraining.collapse import PATIENCE, collapse, spread_and_rank


def measured(embeddings: torch.Tensor) -> tuple[float, float]:
    spread, rank = spread_and_rank(embeddings)
    return float(spread), float(rank)


def test_rank_is_the_participation_ratio_of_the_covariance() -> None:
    embeddings = torch.randn(40, 7, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 8.0) + 0.3
    unit = embeddings.double().numpy()
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    eigenvalues = np.linalg.eigvalsh(np.cov(unit.T))
    spread, rank = measured(embeddings)
    assert rank == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-4)
    assert spread == pytest.approx(unit.std(axis=0).mean() * np.sqrt(7), rel=1e-5)


def test_even_spread_is_one_and_of_full_rank() -> None:
    spread, rank = measured(torch.cat([torch.eye(8), -torch.eye(8)]))
    assert spread == pytest.approx(1.0)
    assert rank == pytest.approx(8.0)


def test_constant_and_linear_embeddings_are_recognised() -> None:
    constant = torch.ones(16, 8) * torch.linspace(1, 2, 16)[:, None]  # the same direction
    angle = torch.linspace(-0.05, 0.05, 16)[:, None]
    line = torch.cat([torch.ones(16, 1), angle, torch.zeros(16, 6)], dim=1)
    assert measured(constant)[0] < 0.001
    assert measured(line)[1] == pytest.approx(1.0, abs=0.02)


def history(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"step": n, "embedding_spread": s, "embedding_rank": r} for n, (s, r) in enumerate(pairs)]


def test_only_a_lasting_collapse_counts() -> None:
    healthy, constant, line = (0.9, 30.0), (0.001, 5.0), (0.5, 1.001)
    assert collapse(history(*[healthy] * 20)) is None
    assert collapse(history(*[constant] * (PATIENCE - 1))) is None
    assert "the same" in str(collapse(history(healthy, *[constant] * PATIENCE)))
    assert "on a line" in str(collapse(history(healthy, *[line] * PATIENCE)))
    assert collapse(history(*[constant] * PATIENCE, healthy)) is None


def test_entries_without_a_check_are_passed_over() -> None:
    entries = history(*[(0.001, 5.0)] * PATIENCE)
    entries.insert(2, {"step": 2, "probe": 0.5})
    assert "the same" in str(collapse(entries))
