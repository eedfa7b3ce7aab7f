"""The package's own tests: run them where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from acoustic_plugin._losses import redundancy

from benchmark import registry
from benchmark.pretraining.preflight import Subject, preflight


@pytest.mark.parametrize(("method", "encoder"), [("cross_correlation", "band_mixer"), ("untrained", "band_mixer")])
def test_the_preflight_finds_no_fault(method: str, encoder: str) -> None:
    findings = preflight(Subject(registry.load("method", method), registry.load("encoder", encoder)))
    assert [str(finding) for finding in findings if finding.outcome == "fault"] == []


def test_the_loss_is_that_of_the_correlation_matrix() -> None:
    first, second = torch.randn(2, 200, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    correlation = np.corrcoef(first.T, second.T)[:5, 5:]
    off = correlation[~np.eye(5, dtype=bool)]
    expected = (np.square(1 - correlation.diagonal()).sum() + 0.1 * np.square(off).sum()) / 5
    assert redundancy(first, second, 0.1).item() == pytest.approx(expected, rel=1e-3)
