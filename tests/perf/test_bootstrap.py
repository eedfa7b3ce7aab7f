from __future__ import annotations

import numpy as np
import pytest

from perf import bootstrap


def test_the_vectorised_bootstrap_and_the_loop_agree(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 1500)
    scores = np.random.default_rng(0).normal(0.6, 0.25, (1, 4, 22))
    deviation = (bootstrap.by_loop(scores) - bootstrap.vectorised(scores)) / bootstrap.monte_carlo_error(scores)
    assert (np.abs(deviation) < 4 * np.sqrt(2)).all()
