from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmark.statistics.differences import Snapshot
from benchmark.statistics.reference import Comparison, compare
from benchmark.statistics.tolerance import Tolerance
from tests.statistics.accepted_runs import (
    PROTOCOLS,
    RUNS,
    TASKS,
    TOLERANCE,
    finished,
    moved,
    retrained,
    with_record,
    with_rows,
)

OTHER_HOST = {"system": "Linux", "processor": "B", "cores": 2, "instructions": "avx2"}
CELL = {"name": "simclr-0", "task": "esc10", "protocol": "linear"}


def checked(current: Snapshot, tolerance: Tolerance = TOLERANCE) -> Comparison:
    return compare(finished(), current, tolerance)


def the_failure(found: Comparison) -> str:
    assert found.regressed
    assert len(found.failures) == 1, found.failures
    return found.failures[0]


def test_the_accepted_run_itself_passes_without_a_note():
    found = checked(finished())
    assert not found.regressed
    assert found.notes == found.differences == found.changes == found.new == []
    assert set(found.kinds.values()) == {"exact"}
    assert found.cells == len(RUNS) * len(TASKS) * len(PROTOCOLS)


# -- a regression is caught and named


def test_a_wrong_temperature_is_named_even_where_scores_stay_within_tolerance():
    current = retrained(moved(finished(), CELL, -3), "simclr-0")
    current = replace(with_record(current, "simclr-0", method_config={"temperature": 2.0}), host=OTHER_HOST)
    failure = the_failure(checked(current))
    assert "method_config.temperature 0.2 → 2.0 (simclr-0)" in failure


def test_a_wrong_temperature_in_the_code_is_caught_by_its_scores_and_the_code_is_named():
    current = retrained(moved(finished(), CELL, -9), "simclr-0")
    current = replace(with_record(current, "simclr-0", code="edited"), host=OTHER_HOST)
    failure = the_failure(checked(current))
    assert failure.startswith("simclr-0 on esc10 under linear (accuracy, clip) fell by 9.0 of 400 test clips")
    assert "tolerance 8.0" in failure
    assert "Other pre-training code." in failure
    assert "Hashes that differ: weights." in failure


def test_a_leaked_fold_is_named_although_scores_rise():
    leaked = moved(finished(), {**CELL, "name": "logmel-0", "fold": "3"}, 5 * 30.0)
    leaked = with_record(with_rows(leaked, {}, code_hash="leaking"), "logmel-0", code_hash=["leaking"])
    failure = the_failure(checked(replace(leaked, host=OTHER_HOST)))
    assert "rose by 30.0 of 400 test clips" in failure
    assert "by fold 3 alone" in failure
    assert "Other evaluation code" in failure
    assert "what a leak looks like" in failure


def test_a_leak_into_pre_training_is_named_by_the_clips_that_are_no_longer_kept_out():
    clips = [{"dataset": "fsdd", "allowed": 400, "excluded": 0, "used": 400, "fingerprint": "f"}]
    current = with_record(
        retrained(finished(), "simclr-0"), "simclr-0", training=[{"part": "all", "steps": 60, "clips": clips}]
    )
    found = checked(replace(current, host=OTHER_HOST))
    assert any("fsdd: excluded 143 → 0 (simclr-0); clips that were kept out" in failure for failure in found.failures)


def test_a_test_part_of_another_size_is_named():
    found = checked(with_rows(finished(), {"task": "esc10", "fold": "2"}, n="160"))
    assert found.failures == ["The test part of fold 2 of esc10 has 160 clips, not 80."]


def test_a_stale_cache_is_named_where_nothing_that_makes_a_score_differs():
    failure = the_failure(checked(moved(finished(), CELL, 1)))
    assert "every score must be equal" in failure
    assert "stale or damaged cache entry" in failure


def test_a_stale_checkpoint_is_named_where_a_setting_differs_and_the_weights_do_not():
    found = checked(with_record(finished(), "simclr-0", method_config={"temperature": 0.5}))
    assert any(
        failure
        == "Stale cache: simclr-0 has method_config.temperature 0.2 → 0.5, but its weights are still the accepted ones."
        for failure in found.failures
    )


def test_stale_embeddings_are_named_where_new_weights_give_every_old_score():
    current = with_record(retrained(finished(), "simclr-0"), "simclr-0", method_config={"temperature": 0.5})
    assert any("every score is still the accepted one" in failure for failure in checked(current).failures)


def test_scores_of_other_weights_than_the_run_has_are_stale():
    failure = the_failure(checked(with_record(finished(), "simclr-0", weights={"all": "other"})))
    assert failure.startswith("Stale scores: simclr-0")


def test_a_run_that_is_not_the_planned_one_is_stale():
    planned = {name: f"key of {name}" for name in RUNS}
    assert not checked(replace(finished(), planned=planned)).regressed
    failure = the_failure(checked(replace(finished(), planned={**planned, "simclr-0": "new"})))
    assert failure.startswith("Stale run: simclr-0")


@pytest.mark.parametrize("where", ["protocols", "tasks"])
def test_a_changed_protocol_or_task_is_named(where: str):
    records = {key: dict(value) for key, value in getattr(finished(), where).items()}
    records[next(iter(records))]["fold_column" if where == "tasks" else "regularisers"] = "changed"
    assert "→ changed" in the_failure(checked(replace(finished(), **{where: records})))


def test_rows_that_are_missing_fail_and_new_ones_do_not():
    full = finished()
    fewer = replace(full, scores=full.scores[(full.scores["name"] != "simclr-0") & (full.scores["fold"] != "3")])
    found = compare(full, fewer, TOLERANCE)
    assert found.missing[0] == "run simclr-0"
    assert "logmel-0 on esc10 under linear (default, train size full), fold 3" in found.missing
    assert the_failure(found).startswith("Missing: run simclr-0; ")
    other_way = compare(fewer, full, TOLERANCE)
    assert not other_way.regressed
    assert other_way.new[0] == "run simclr-0"


def test_a_score_that_is_no_longer_run_is_missing():
    assert checked(with_rows(finished(), {**CELL, "fold": "1"}, status="not run", value="")).missing


def test_the_worst_comes_first():
    current = moved(moved(moved(finished(), CELL, -9), {**CELL, "name": "logmel-0"}, 5), {**CELL, "task": "us8k"}, 7)
    found = checked(replace(current, host=OTHER_HOST))
    assert [(change.name, round(change.moved), change.verdict) for change in found.changes] == [
        ("logmel-0", 5, "rose"),
        ("simclr-0", -9, "fell"),
        ("simclr-0", 7, "within"),
    ]


# -- noise is not


def perturbed(number: int, side: Snapshot, reach: float) -> Snapshot:
    """Every cell of what is trained moved by noise of at most ``reach`` test clips."""
    generator = np.random.default_rng(number)
    for name in (name for name, trained in RUNS.items() if trained):
        side = retrained(side, name)
        for task in TASKS:
            for protocol in PROTOCOLS:
                side = moved(side, {"name": name, "task": task, "protocol": protocol}, generator.uniform(-reach, reach))
    return side


@pytest.mark.parametrize("number", range(20))
def test_noise_of_another_machine_passes_with_a_note(number: int):
    found = checked(replace(perturbed(number, finished(), 8.0), host=OTHER_HOST))
    assert found.failures == []
    assert "cells moved within tolerance" in found.notes[0]
    assert [str(d) for d in found.differences if d.facet == "numerics"] == ["host.processor A → B"]


@pytest.mark.parametrize("number", range(5))
def test_the_same_noise_on_the_same_machine_fails(number: int):
    assert checked(perturbed(number, finished(), 8.0)).regressed


def test_one_thread_instead_of_two_says_so_and_passes():
    current = perturbed(0, finished(), 8.0)
    for name in RUNS:
        current = with_record(current, name, machine={"threads": 1})
    found = checked(current)
    assert not found.regressed
    assert [(str(d), d.of) for d in found.differences] == [("machine.threads 2 → 1", tuple(RUNS))]


def test_what_is_not_trained_may_hardly_move_on_another_machine():
    other = replace(finished(), host=OTHER_HOST)
    assert not checked(moved(other, {**CELL, "name": "logmel-0"}, 1)).regressed
    assert checked(moved(other, {**CELL, "name": "logmel-0"}, 2)).regressed


def test_single_classes_are_compared_where_they_must_be_equal_alone():
    by_class = with_rows(finished(), {**CELL, "fold": "1"}, variant="fold=1;class=dog")
    current = moved(by_class, {"variant": "fold=1;class=dog"}, 100)
    assert compare(by_class, current, TOLERANCE).regressed
    assert not compare(by_class, replace(current, host=OTHER_HOST), TOLERANCE).regressed


def test_another_seed_has_a_tolerance_of_its_own():
    current = moved(retrained(finished(), "simclr-0"), CELL, 20)
    assert checked(replace(current, host=OTHER_HOST)).regressed
    found = checked(with_record(current, "simclr-0", seed=1))
    assert not found.regressed
    assert found.kinds["simclr-0"] == "seed"


def test_without_a_measured_tolerance_nothing_may_move_and_a_note_says_why():
    found = checked(replace(moved(finished(), CELL, 1), host=OTHER_HOST), Tolerance())
    assert found.regressed
    assert any("No tolerance was measured" in note for note in found.notes)


def test_bookkeeping_and_new_parameters_change_no_experiment():
    current = with_record(finished(), "simclr-0", settings={"log_every": 1}, method_config={"added": 1, "unset": None})
    current = with_record(current, "logmel-0", machine={"workers": 8})
    found = checked(current)
    assert found.failures == []
    assert [str(difference) for difference in found.differences] == ["method_config.added null → 1"]


def test_a_parameter_set_from_none_is_another_experiment():
    current = with_record(retrained(finished(), "simclr-0"), "simclr-0", settings={"clip_norm": 1.5})
    assert any("settings.clip_norm null → 1.5" in failure for failure in checked(current).failures)
