import pytest
import torch
from torch import nn

from benchmark.pretraining.momentum import MemoryBank, update_ema


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    made = [nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(2)]
    return made[0], made[1]


def test_after_n_updates_the_distance_has_shrunk_by_the_nth_power() -> None:
    slow, fast = networks()
    start, goal = slow[0].weight.detach().clone(), fast[0].weight.detach().clone()  # type: ignore[index]
    for _ in range(7):
        update_ema(slow, fast, 0.9)
    expected = goal + 0.9**7 * (start - goal)
    torch.testing.assert_close(slow[0].weight.detach(), expected)  # type: ignore[index]
    torch.testing.assert_close(fast[0].weight.detach(), goal, rtol=0, atol=0)  # type: ignore[index]


def test_buffers_are_copied_whatever_their_type() -> None:
    slow, fast = networks()
    fast(torch.randn(16, 3) + 5)
    update_ema(slow, fast, 0.999)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(getattr(slow[1], name), getattr(fast[1], name))  # type: ignore[index]


def test_update_is_in_place_and_takes_no_gradient() -> None:
    slow, fast = networks()
    before = [p.data_ptr() for p in slow.parameters()]
    update_ema(slow, fast, 0.5)
    assert [p.data_ptr() for p in slow.parameters()] == before
    assert all(p.grad is None and p.is_leaf for p in slow.parameters())


@pytest.mark.parametrize("momentum", [-0.1, 1.1])
def test_momentum_outside_its_range_is_refused(momentum: float) -> None:
    with pytest.raises(ValueError, match="momentum"):
        update_ema(*networks(), momentum)


def test_different_architectures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        update_ema(nn.Linear(2, 2), nn.Linear(2, 2, bias=False), 0.9)


def test_bank_holds_the_last_entries_in_ring_order() -> None:
    bank = MemoryBank(5, 3, torch.Generator().manual_seed(0))
    rows = torch.eye(3).repeat(4, 1) * torch.arange(1, 13)[:, None]  # direction row % 3
    for start in range(0, 12, 3):
        bank.push(rows[start : start + 3])
    # rows 7..11 are the last five; row r lies in slot r % 5
    expected = torch.stack([rows[{0: 10, 1: 11, 2: 7, 3: 8, 4: 9}[slot]] for slot in range(5)])
    torch.testing.assert_close(bank.embeddings, nn.functional.normalize(expected, dim=1))
    assert int(bank.position) == 12 % 5


def test_bank_starts_with_reproducible_unit_vectors_and_is_in_the_state() -> None:
    first, second = (MemoryBank(6, 4, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.embeddings, second.embeddings)
    torch.testing.assert_close(first.embeddings.norm(dim=1), torch.ones(6))
    assert set(first.state_dict()) == {"embeddings", "position"}


def test_batch_larger_than_the_bank_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        MemoryBank(2, 3, torch.Generator()).push(torch.ones(3, 3))
