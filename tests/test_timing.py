"""The ledger of stages."""

from pathlib import Path

import pytest

from benchmark.timing import ledger, recorded
from benchmark.workspace import Workspace


def test_a_stage_that_ends_well_is_recorded_and_one_that_fails_is_not(tmp_path: Path):
    workspace = Workspace(tmp_path, "mini")
    with recorded(workspace, "prepare", "esc50-16000"):
        pass
    with pytest.raises(RuntimeError), recorded(workspace, "pretrain", "simclr-0"):
        raise RuntimeError
    (record,) = ledger(workspace)
    assert (record["stage"], record["name"]) == ("prepare", "esc50-16000")
    assert record["peak_mib"] > 5
    assert record["seconds"] >= 0
