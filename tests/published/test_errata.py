from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.config import parse_yaml
from benchmark.errors import ConfigError
from benchmark.published.errata import load_errata
from tests.published.conftest import ROOT, spoil

ERRATA = Path("results") / "errata.yaml"


@pytest.fixture
def project(copy: Path) -> Path:
    """A spoilable project in which the files that the errata name are there."""
    for section in ("choices", "deviations"):
        for entry in parse_yaml((copy / ERRATA).read_text())[section]:
            if entry.get("where"):
                (copy / entry["where"]).parent.mkdir(parents=True, exist_ok=True)
                (copy / entry["where"]).touch()
    return copy


def test_every_conflict_of_the_tables_file_is_there_with_a_consequence():
    listed = parse_yaml((ROOT / "results" / "published" / "tables.yaml").read_text())["conflicts"]
    errata = load_errata(ROOT)
    assert [conflict.model_dump() for conflict, _ in errata.conflicts] == listed
    assert all(consequence for _, consequence in errata.conflicts)


def test_every_paper_has_choices():
    assert {choice.paper for choice in load_errata(ROOT).choices} == {
        "fonseca2021", "lin2022", "srivastava2022", "tagliasacchi2020", "wang2021",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("contains: 0.10 and 0.68", "contains: 0.10 and 0.69", "is in 0 conflicts of tagliasacchi2020, not in one"),
        ("contains: 0.10 and 0.68", "contains: the", "is in 3 conflicts of tagliasacchi2020"),
        ("contains: 0.10 and 0.68", "contains: 0.68 vs. 0.40", "that another entry names"),
        ("where: benchmark/signal/encoder.py", "where: benchmark/signal/encoders.py", "encoders.py is no file"),
        ("status: implemented\n  where: benchmark/signal/augment.py", "status: implemented", "names the file"),
        ("paper: wang2021", "paper: wang2022", "is in 0 conflicts of wang2022|'wang2022' is no paper"),
        ("status: not yet", "status: soon", "status: .*'soon'"),
    ],
)
def test_a_wrong_entry_is_refused(project: Path, old: str, new: str, sentence: str):
    load_errata(project)
    spoil(project / ERRATA, old, new)
    with pytest.raises(ConfigError, match=sentence):
        load_errata(project)


def test_a_conflict_without_a_consequence_is_refused(project: Path):
    spoil(
        project / "results" / "published" / "tables.yaml",
        "conflicts:\n",
        "conflicts:\n- {paper: lin2022, where: here, what: something new}\n",
    )
    with pytest.raises(ConfigError, match="no consequence for the conflict of lin2022, 'here'"):
        load_errata(project)
