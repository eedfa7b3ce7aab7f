from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.reporting.claims import html, markdown, totals_table, write_claims
from benchmark.statistics.claims.assessment import Assessment, assess
from benchmark.statistics.claims.verdicts import Evidence
from tests.statistics.claims.toys import by_variant, claim

PRINTED = by_variant(a=0.5, b=0.3)
SEEDS = 0.01 * np.arange(6)
NEEDS = {"methods": ["simclr"], "encoders": ["net"], "tasks": ["t1"], "protocols": ["linear"], "metrics": ["accuracy"]}
EVIDENCE = {"numbers": "50 <vs> 30", "supports": "yes", "arithmetic": "20", "published_verdict": True}


@pytest.fixture
def assessments() -> list[Assessment]:
    ordering = {"left": {"variant": "a"}, "relation": ">", "right": {"variant": "b"}}
    fields = {"needs": NEEDS, "evidence": EVIDENCE}
    claims = [
        claim(ordering, id="first", **fields),
        claim({**ordering, "relation": "<"}, id="second", paper="paper", **fields),
    ]
    ours = Evidence(by_variant(a=0.5 + SEEDS, b=0.3 + SEEDS[::-1]), PRINTED)
    return assess(claims, PRINTED, ours)


def test_totals_by_paper(assessments: list[Assessment]):
    assert totals_table(assessments).rows == [
        ["paper", "1", "1", "0", "0", "1", "1", "0", "2"],
        ["all", "1", "1", "0", "0", "1", "1", "0", "2"],
    ]


def test_every_format_has_numbers_verdicts_and_needs(assessments: list[Assessment], tmp_path: Path):
    write_claims(tmp_path, "mini", assessments)
    text, page = (tmp_path / "claims.md").read_text(), (tmp_path / "claims.html").read_text()
    for shown in ("first", "second", "supported", "contradicted", "one GPU", "simclr"):
        assert shown in text
        assert shown in page
    assert "50 <vs> 30" in text
    assert "50 &lt;vs&gt; 30" in page
    first, second = json.loads((tmp_path / "claims.json").read_text())
    assert (first["ours"]["verdict"], second["ours"]["verdict"]) == ("supported", "contradicted")
    assert first["published"]["comparisons"] == [{"claimed": "a - b > 0", "value": 0.2, "holds": True}]
    assert first["ours"]["comparisons"][0]["estimate"] == pytest.approx(0.2)
    assert first["needs"]["tasks"] == ["t1"]


def test_without_runs_and_with_proxies(assessments: list[Assessment]):
    claims = [assessment.claim for assessment in assessments]
    nothing = assess(claims, PRINTED, "no scores yet")
    assert markdown("sandbox", nothing).count("not run: no scores yet") == 2
    ours = Evidence(by_variant(a=0.5 + SEEDS, b=0.3 + SEEDS[::-1]), PRINTED)
    proxies = assess(claims, PRINTED, ours, ["fewer steps"])
    assert "supported, with fewer steps" in markdown("mini", proxies)
    assert "fewer steps" in html("mini", proxies)
    assert totals_table(proxies).rows[0][1:5] == ["0", "0", "0", "2"]


def test_the_pages_are_the_same_bytes_again(assessments: list[Assessment], tmp_path: Path):
    for folder in ("one", "two"):
        write_claims(tmp_path / folder, "mini", assessments)
    for name in ("claims.md", "claims.html", "claims.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
