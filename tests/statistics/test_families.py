from __future__ import annotations

from pathlib import Path

from benchmark.statistics.families import headline, shown_tables
from benchmark.studies import load_study

ROOT = Path(__file__).parents[2]


def test_a_control_is_never_what_findings_are_about():
    study = load_study(ROOT, "fonseca2021")
    small = {name for name in study.runs if name.startswith("us8k_")}
    first = next(iter(shown_tables(study, small).values()))
    assert study.protocols[first.protocol].shuffled_labels
    assert headline(study, small) == study.tables["small_audio"]
