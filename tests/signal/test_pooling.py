from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.errors import ConfigError
from benchmark.signal.frontend import FONSECA2021, TAGLIASACCHI2020, LogMel
from benchmark.signal.pooling import clip_log_mel, pool_frames


def frames(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_statistics_equal_numpys_on_the_valid_frames() -> None:
    x, valid = frames(4, 3, 9), torch.tensor([9, 5, 2, 1])
    pooled = pool_frames(x, valid, ("mean", "std", "max", "mean_abs_difference")).numpy()
    for row, (clip, count) in enumerate(zip(x.double().numpy(), valid.tolist(), strict=True)):
        part = clip[:, :count]
        steps = np.abs(np.diff(part, axis=1)).mean(axis=1) if count > 1 else np.zeros(3)
        expected = np.concatenate([part.mean(axis=1), part.std(axis=1), part.max(axis=1), steps])
        np.testing.assert_allclose(pooled[row], expected, rtol=1e-5, atol=1e-6)


def test_order_and_selection_of_statistics() -> None:
    x, valid = frames(2, 3, 5), torch.tensor([5, 4])
    both = pool_frames(x, valid, ("std", "mean"))
    torch.testing.assert_close(both[:, 3:], pool_frames(x, valid, ("mean",)))
    assert both.shape == (2, 6)


def test_invalid_frames_do_not_count_even_if_not_finite() -> None:
    x, valid = frames(2, 3, 8), torch.tensor([5, 3])
    spoiled = x.clone()
    spoiled[0, :, 5:], spoiled[1, :, 3:] = torch.nan, torch.inf
    names = ("mean", "std", "max", "mean_abs_difference")
    torch.testing.assert_close(pool_frames(spoiled, valid, names), pool_frames(x, valid, names), rtol=0, atol=0)


@pytest.mark.parametrize(("length", "expected"), [(1, 1), (399, 1), (400, 1), (559, 1), (560, 2), (5_000, 29)])
def test_valid_frames_lie_wholly_inside_the_clip(length: int, expected: int) -> None:
    frontend = LogMel(TAGLIASACCHI2020)
    patch, valid = clip_log_mel(frontend, torch.zeros(1, 5_000), torch.tensor([length]))
    assert valid.tolist() == [expected]
    assert patch.shape[-1] == frontend.frames(5_000)


def test_batch_shorter_than_a_window_becomes_one_frame() -> None:
    patch, valid = clip_log_mel(LogMel(TAGLIASACCHI2020), torch.ones(2, 50), None)
    assert patch.shape == (2, 64, 1)
    assert valid.tolist() == [1, 1]


def test_front_ends_that_see_beyond_a_frame_are_refused() -> None:
    with pytest.raises(ConfigError, match="centre=false"):
        clip_log_mel(LogMel(FONSECA2021), torch.zeros(1, 5_000), None)
