"""Every model of the paper profile is built at full size and takes one step."""

from pathlib import Path

import pytest

from benchmark.errors import TrainingDivergedError
from benchmark.smoke import smoke_test
from benchmark.workspace import Workspace

ROOT = Path(__file__).parent.parent


@pytest.fixture
def workspace(checkout: Path) -> Workspace:
    return Workspace(checkout, "paper")


def test_full_size_models_take_a_step(workspace: Workspace, capsys: pytest.CaptureFixture[str]):
    smoke_test(workspace, "transfer", batch_size=2)
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "11,696,576 parameters" in lines["simclr_resnet18"]  # 11,170,240 and the projection head's 526,336
    assert "embeds" in lines["untrained_resnet18"]
    assert "loss" in lines["supervised_esc10"]


def test_a_step_that_is_not_finite_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    from methods.supervised import METHOD

    step = METHOD.step

    def broken(self, batch, generator):
        outcome = step(self, batch, generator)
        return type(outcome)(outcome.loss * float("nan"))

    monkeypatch.setattr(METHOD, "step", broken)
    with pytest.raises(TrainingDivergedError, match="supervised_esc10"):
        smoke_test(workspace, "transfer", batch_size=2)
