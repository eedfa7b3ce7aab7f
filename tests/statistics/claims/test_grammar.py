from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.config import parse_yaml
from benchmark.errors import ConfigError
from benchmark.statistics.claims.grammar import CLAIMS_FILE, load_claims
from tests.statistics.claims.toys import statement

ROOT = Path(__file__).parents[3]


def test_reads_all_claims_of_five_papers():
    claims = load_claims(ROOT).claims
    assert len(claims) == 161
    assert len({claim.paper for claim in claims}) == 5


COMPARISON = {"left": {"method": "a"}, "relation": ">", "right": 1}
SERIES = {"series": {"vary": "variant", "over": ["a", "b"]}, "shape": "increasing"}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({**COMPARISON, "margn": 1}, "margn"),
        ({**COMPARISON, "left": {"methd": "a"}}, "methd"),
        ({**COMPARISON, "left": {"diff": [1, 2], "ratio": [1, 2]}}, "ratio"),
        ({**COMPARISON, "left": {"diff": [1, 2, 3]}}, "diff"),
        ({**COMPARISON, "left": {"max": []}}, "max"),
        ({**COMPARISON, "left": "a"}, "an expression is a number"),
        ({**COMPARISON, "relation": "=="}, "relation"),
        ({**COMPARISON, "relation": "~"}, "margin above zero"),
        ({**COMPARISON, "unit": "points"}, "unit"),
        ({**COMPARISON, "where": {"colour": "red"}}, "colour"),
        ({"right": 1}, "a statement has one of"),
        ({"all": []}, "all"),
        ({"any": [COMPARISON], "all": [COMPARISON]}, "any"),
        ({**SERIES, "at": "a"}, "takes no `at`"),
        ({**SERIES, "shape": "argmax"}, "needs an `at`"),
        ({**SERIES, "shape": "argmax", "at": "c"}, "no point of the series"),
        ({**SERIES, "shape": "argmax", "at": ["a", "b"]}, "nothing is left"),
        ({**SERIES, "shape": "wiggly"}, "shape"),
        ({**SERIES, "tolerance": -1}, "tolerance"),
        ({"series": {"vary": "variant"}, "shape": "increasing"}, "vary and over, or points"),
        ({"series": {"vary": "variant", "over": ["a"]}, "shape": "increasing"}, "at least two points"),
        ({"series": {"vary": "variant", "over": ["a", "a"]}, "shape": "increasing"}, "each once"),
        ({"for_each": {"colour": ["red"]}, "holds": COMPARISON}, "for_each"),
        ({"for_each": {"task": ["a"]}, "require": 2, "holds": COMPARISON}, "requires 2 of 1"),
        ({"for_each": {"task": ["a"]}}, "holds"),
    ],
)
def test_refuses_what_the_grammar_does_not_have(data: dict[str, Any], sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        statement(data)


def test_a_mapping_for_each_is_a_product_and_a_list_is_itself():
    product = statement({"for_each": {"task": ["a", "b"], "method": ["x", "y"]}, "holds": COMPARISON})
    listed = statement({"for_each": [{"task": "a", "method": "x"}, {"task": "b", "method": "y"}], "holds": COMPARISON})
    assert [tuple(values.values()) for values in product.bindings()] == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert [tuple(values.values()) for values in listed.bindings()] == [("a", "x"), ("b", "y")]


def test_a_fault_is_named_by_its_claim(tmp_path: Path):
    data = parse_yaml((ROOT / CLAIMS_FILE).read_text())
    data["claims"] = data["claims"][:2]
    path = tmp_path / CLAIMS_FILE
    path.parent.mkdir(parents=True)
    data["claims"][1]["statement"]["shap"] = "argmax"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match=rf"claim {data['claims'][1]['id']}.*shap"):
        load_claims(tmp_path)
    data["claims"][1] = data["claims"][0]
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match="two claims are called"):
        load_claims(tmp_path)
