import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from benchmark.config import Training
from benchmark.pretraining.schedule import build_optimizer, learning_rate, set_learning_rate

STEPS = 50


def rates(training: Training) -> list[float]:
    return [learning_rate(training, step, STEPS) for step in range(STEPS)]


def torch_rates(scheduler_of: object) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = scheduler_of(optimizer)  # type: ignore[operator]
    found = []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant_stays() -> None:
    assert rates(Training(lr=0.3)) == [0.3] * STEPS


def test_cosine_is_torchs() -> None:
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS))
    assert rates(Training(lr=0.3, schedule="cosine")) == pytest.approx(expected, rel=1e-9)


def test_multistep_by_fraction_is_torchs_by_step() -> None:
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [30, 40], gamma=0.1))
    assert rates(Training(lr=0.3, schedule="multistep", milestones=(0.6, 0.8))) == pytest.approx(expected)


def test_published_milestones_of_500_epochs_fall_on_epochs_325_and_425() -> None:
    training = Training(lr=0.03, schedule="multistep", milestones=(0.65, 0.85))
    steps = 500 * 123
    around = [learning_rate(training, epoch * 123 + offset, steps) for epoch in (325, 425) for offset in (-1, 0)]
    assert around == pytest.approx([0.03, 0.003, 0.003, 0.0003])


def test_warmup_rises_linearly_and_the_schedule_follows() -> None:
    found = rates(Training(lr=0.4, schedule="cosine", warmup_steps=3))
    assert found[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert all(later < earlier for earlier, later in pairwise(found[3:]))
    assert 0.0 < found[-1] < 0.002


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, weight_decay=0.01, fused=False)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.01, fused=False)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.01, fused=False)),
    ],
)
def test_optimizer_is_the_named_one(name: str, oracle: object) -> None:
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    twin = copy.deepcopy(model)
    ours = build_optimizer(Training(optimizer=name, lr=0.1, momentum=0.8, weight_decay=0.01), model)  # type: ignore[arg-type]
    theirs = oracle(twin.parameters())  # type: ignore[operator]
    inputs = torch.randn(4, 7, 5)
    for batch in inputs:
        for each, optimizer in ((model, ours), (twin, theirs)):
            optimizer.zero_grad()
            each(batch).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(model.weight, twin.weight, rtol=1e-5, atol=1e-6)


def test_frozen_parameters_are_left_out_and_the_rate_is_set() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False))
    optimizer = build_optimizer(Training(), model)
    assert sum(p.numel() for group in optimizer.param_groups for p in group["params"]) == 6
    set_learning_rate(optimizer, 0.125)
    assert optimizer.param_groups[0]["lr"] == 0.125
