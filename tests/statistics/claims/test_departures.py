from __future__ import annotations

import pytest

from benchmark.config import Profile, Scale
from benchmark.statistics.claims.departures import scale_departures


def profile(**changes: object) -> Profile:
    base = {"data": "real", "studies": (), "rates": {"default": (16000,)}, "seeds": {"default": 5}, "runs": {}}
    return Profile.model_validate(base | changes)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"data": "standin"}, "stand-in"),
        ({"runs": {"default": Scale(width=0.5)}}, "width"),
        ({"runs": {"x": Scale(steps=5)}}, "steps"),
    ],
)
def test_a_profile_departs_in_data_or_scale(changes: dict, word: str):
    assert word in scale_departures(profile(**changes))[0]


def test_snapshots_and_seeds_are_no_departure():
    assert scale_departures(profile(runs={"default": Scale(snapshots=(0, 100), log_every=5)})) == []
