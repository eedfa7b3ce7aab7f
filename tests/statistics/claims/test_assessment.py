from __future__ import annotations

import numpy as np

from benchmark.statistics.claims.assessment import assess, totals
from benchmark.statistics.claims.bindings import Binding
from benchmark.statistics.claims.verdicts import Evidence
from tests.statistics.claims.toys import by_variant, claim

SEEDS = 0.01 * np.arange(6)
PRINTED = by_variant(a=0.5, b=0.3)
OURS = Evidence(by_variant(a=0.5 + SEEDS, b=0.3 + SEEDS[::-1]), PRINTED)
CLAIM = claim({"left": {"variant": "a"}, "relation": ">", "right": {"variant": "b"}})


def test_without_runs_every_claim_says_why():
    (found,) = assess([CLAIM], PRINTED, "nothing was run")
    assert (found.verdict.outcome, found.verdict.reason, found.proxy) == ("not run", "nothing was run", None)
    assert found.published.verdict == "true"


def test_scores_as_published_give_verdicts():
    (found,) = assess([CLAIM], PRINTED, OURS)
    assert (found.verdict.outcome, found.proxy) == ("supported", None)
    assert totals([found]) == {"paper": {"supported": 1}}


def test_another_scale_gives_proxies_that_no_total_counts():
    (found,) = assess([CLAIM], PRINTED, OURS, ["synthetic stand-in data"])
    assert found.proxy is not None
    assert (found.verdict.outcome, found.proxy.outcome) == ("not run", "supported")
    assert found.departures == ("synthetic stand-in data",)
    assert totals([found]) == {"paper": {"not run": 1}}


def test_a_binding_gives_a_proxy_beside_the_verdict():
    swapped = Binding(because="swapped", replace={"variant": {"a": "b", "b": "a"}})
    (found,) = assess([CLAIM], PRINTED, OURS, bindings=[swapped])
    assert found.proxy is not None
    assert (found.verdict.outcome, found.proxy.outcome) == ("supported", "contradicted")
    assert found.departures == ("swapped",)
