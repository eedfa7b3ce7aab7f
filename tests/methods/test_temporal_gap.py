from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from benchmark.seeding import numpy_stream, torch_stream
from methods.temporal_gap import GapStarts
from tests.methods.test_tagliasacchi2020 import chirps, make


def test_the_gap_is_uniform_in_whole_frames_and_either_slice_may_come_first() -> None:
    room = np.full(20_000, 898 * 160)  # a clip of 998 frames
    starts = GapStarts(160)(numpy_stream(0, "gap"), room, 2)
    gap = np.abs(starts[:, 0] - starts[:, 1])
    assert (starts % 160 == 0).all()
    assert starts.min() >= 0
    assert starts.max() <= room[0]
    assert stats.kstest(gap / room, "uniform").pvalue > 0.01
    assert 0.48 < (starts[:, 0] < starts[:, 1]).mean() < 0.52
    near = gap < 0.1 * room
    earlier = starts.min(axis=1)[near] / (room - gap)[near]
    assert stats.kstest(earlier, "uniform").pvalue > 0.01  # all places that fit


def test_independent_crops_would_not_do() -> None:
    """Their distance has a triangular density, so this test can tell."""
    places = numpy_stream(0, "independent").uniform(size=(20_000, 2))
    assert stats.kstest(np.abs(places[:, 0] - places[:, 1]), "uniform").pvalue < 1e-10


def test_published_head() -> None:
    method = make("temporal_gap", {"width": 1.0})
    assert sum(p.numel() for p in method.regressor.parameters()) == 16_513
    request = method.crops()
    assert (request.views, request.samples, request.minimum) == (2, 15_600, 15_760)


@torch.no_grad()
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_loss_is_that_of_the_normalised_gap(loss: str) -> None:
    method = make("temporal_gap", loss=loss).eval()
    batch = chirps(method)
    assert batch.positions is not None
    gap = (batch.positions[:, 0] - batch.positions[:, 1]).abs().double().numpy()
    pairs = [method.encoder(batch.waveforms[:, view]) for view in (0, 1)]
    method.regressor[-1].bias.fill_(0.3)  # type: ignore[index, union-attr, operator]
    predicted = special.expit(method.regressor(torch.cat(pairs, dim=1)).double().numpy()[:, 0])  # type: ignore[operator]
    entropy = -(gap * np.log(predicted) + (1 - gap) * np.log(1 - predicted))
    expected = entropy.mean() if loss == "cross_entropy" else np.square(predicted - gap).mean()
    assert method.step(batch, torch_stream(0)).loss.item() == pytest.approx(expected, rel=1e-4)


def test_a_perfect_answer_costs_half_a_nat() -> None:
    assert integrate.quad(lambda gap: special.entr(gap) + special.entr(1 - gap), 0, 1)[0] == pytest.approx(0.5)
