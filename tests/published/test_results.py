from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmark.errors import ConfigError
from benchmark.published.results import load_published_results
from tests.published.conftest import ROOT, spoil

CSV = Path("results") / "published" / "published_results.csv"
CLAIMS = Path("results") / "published" / "claims.yaml"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return load_published_results(ROOT)


def test_the_table_is_the_file_with_variants(table: pd.DataFrame):
    raw = pd.read_csv(ROOT / CSV, dtype=str, keep_default_na=False)
    texts = [column for column in raw.columns if column not in {"value", "uncertainty"}]
    pd.testing.assert_frame_equal(table[texts].astype(object), raw[texts].astype(object), check_dtype=False)
    assert table["value"].tolist() == raw["value"].astype(float).tolist()
    assert table["uncertainty"].notna().sum() == (raw["uncertainty"] != "").sum() == 28
    assert len(table) == 522


def test_variants_are_those_of_the_claims_file(table: pd.DataFrame):
    def variant(**where: str) -> str:
        rows = table[(table[list(where)] == pd.Series(where)).all(axis=1)]
        assert len(rows) == 1
        return rows["variant"].iloc[0]

    assert variant(paper="fonseca2021", table="table-1", row="Sampling at random") == "default"
    assert variant(paper="fonseca2021", table="table-1", row="d = 25") == "sampling=d25"
    assert (
        variant(paper="wang2021", table="table-3", row="No example mixing", column="Batch size | 4096") == "mixing=none"
    )
    siren = {"row": "MoCo KNN", "column": "Siren | Recall"}
    assert variant(paper="lin2022", table="table-3.3", **siren) == "fold=1;class=siren"


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        (CSV, ",70.1,percent", ",seventy,percent", r"published_results.csv, line 2: value: .*'seventy'"),
        (CSV, ",61.5,percent", ",61.5,per cent", r"published_results.csv, line 4: unit: .*'per cent'"),
        (CSV, ",61.5,percent", ",nan,percent", r"line 4: value: .*finite"),
        (CSV, ",51.1,percent,,this", ",51.1,percent,this", r"line 3: not as many cells"),
        (CSV, "paper,table", "table,paper", r"the header is not paper,table"),
        (CLAIMS, "row: d = 25,", "row: d = 26,", r"claims.yaml: csv_variants: no number .*d = 26"),
        (CLAIMS, "class={class}", "class={kind}", r"states no kind="),
        (CLAIMS, "task_groups:", "task_group:", r"claims.yaml: task_groups: Field required"),
    ],
)
def test_a_fault_is_one_sentence_that_names_file_and_line(copy: Path, file: Path, old: str, new: str, sentence: str):
    spoil(copy / file, old, new)
    with pytest.raises(ConfigError, match=sentence) as raised:
        load_published_results(copy)
    assert "\n" not in str(raised.value)


def test_two_variants_of_one_number_are_refused(copy: Path):
    entry = "- {paper: fonseca2021, table: table-1, row: d = 25, variant: sampling=d25}"
    spoil(copy / CLAIMS, entry, f"{entry}\n{entry}")
    with pytest.raises(ConfigError, match="2 entries match fonseca2021 table-1, row 'd = 25'"):
        load_published_results(copy)


def test_a_missing_file_is_said(copy: Path):
    (copy / CSV).unlink()
    with pytest.raises(ConfigError, match=re.escape(str(copy / CSV)) + " does not exist"):
        load_published_results(copy)


def test_loading_imports_no_torch():
    code = "import sys, benchmark.published.errata, benchmark.published.layout\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
