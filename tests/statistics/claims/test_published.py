from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from benchmark.published.results import CLAIMS_FILE, RESULTS_FILE
from benchmark.statistics.claims.grammar import load_claims
from benchmark.statistics.claims.published import judge_published, published_scores
from tests.statistics.claims.toys import claim

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def file():
    return load_claims(ROOT)


@pytest.fixture(scope="module")
def scores():
    return published_scores(ROOT)


def test_every_claim_has_the_stated_verdict_on_the_printed_numbers(file, scores):
    verdicts = [judge_published(claim, scores) for claim in file.claims]
    assert [(v.claim.id, v.verdict, v.expected) for v in verdicts if not v.agrees] == []
    assert Counter(v.verdict for v in verdicts) == {"true": 113, "false": 17, "not_evaluable": 31}
    assert all(v.reason for v in verdicts if v.verdict == "not_evaluable")


def test_a_changed_number_changes_a_verdict(file, scores, tmp_path: Path):
    table = pd.read_csv(ROOT / RESULTS_FILE, dtype=str, keep_default_na=False)
    best = (table["paper"] == "fonseca2021") & (table["row"] == "d = 400") & (table["table"] == "table-1")
    assert best.sum() == 1
    table.loc[best, "value"] = "70.2"
    path = tmp_path / RESULTS_FILE
    path.parent.mkdir(parents=True)
    table.to_csv(path, index=False)
    (tmp_path / CLAIMS_FILE).write_bytes((ROOT / CLAIMS_FILE).read_bytes())
    edited = published_scores(tmp_path)
    found = next(c for c in file.claims if c.id == "fonseca2021-random-sampling-best")
    assert judge_published(found, scores).verdict == "true"
    assert judge_published(found, edited).verdict == "false"


def test_a_class_is_read_from_the_note(scores):
    variants = scores.cells["variant"]
    assert {f"fold=1;class={name}" for name in ("siren", "car_horn", "street_music")} <= set(variants)
    assert not variants.str.contains("{", regex=False).any()


def test_a_number_that_the_text_repeats_counts_once(scores):
    """wang2021's text repeats numbers of variants without naming the variant; as default scores they would mix."""
    keep = (scores.cells["study"] == "wang2021") & (scores.cells["encoder"] == "cnn14")
    keep &= (
        (scores.cells["protocol"] == "mlp") & (scores.cells["variant"] == "default") & (scores.cells["metric"] == "map")
    )
    assert scores.values[keep].ravel().tolist() == pytest.approx([39.7])


def test_a_wrong_expectation_is_seen(scores):
    where = {"method": "simclr_mixback", "encoder": "resnet18", "task": "fsdnoisy18k_val", "protocol": "knn"}
    wrong = claim({"where": where, "left": {}, "relation": "<", "right": 0.5}, paper="fonseca2021")
    verdict = judge_published(wrong, scores)
    assert (verdict.verdict, verdict.expected, verdict.agrees) == ("false", "true", False)
