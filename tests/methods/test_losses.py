import math

import numpy as np
import pytest
import torch

from methods._losses import nt_xent, triplet


def plain(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """Equation 2 of fonseca2021, term by term in double precision."""
    z = [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in [*first.tolist(), *second.tolist()]]
    n, total = len(first), 0.0
    for i in range(2 * n):

        def e(j: int, i: int = i) -> float:
            return math.exp(sum(a * b for a, b in zip(z[i], z[j], strict=True)) / temperature)

        total += -math.log(e((i + n) % (2 * n)) / sum(e(v) for v in range(2 * n) if v != i))
    return total / (2 * n)


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_equals_the_plain_sum(n: int, temperature: float) -> None:
    generator = np.random.default_rng(n)
    first, second = generator.standard_normal((2, n, 5))
    expected = plain(first, second, temperature)
    double = nt_xent(torch.from_numpy(first), torch.from_numpy(second), temperature)
    single = nt_xent(torch.from_numpy(first).float(), torch.from_numpy(second).float(), temperature)
    assert float(double) == pytest.approx(expected, abs=1e-12)
    assert float(single) == pytest.approx(expected, abs=2e-6)


def test_one_clip_has_nothing_to_lose() -> None:
    assert float(nt_xent(torch.randn(1, 4), torch.randn(1, 4), 0.2)) == 0.0


@pytest.mark.parametrize("n", [2, 16, 128])
def test_equal_embeddings_give_the_logarithm_of_the_candidates(n: int) -> None:
    same = torch.ones(n, 8)
    assert float(nt_xent(same, 3 * same, 0.2)) == pytest.approx(math.log(2 * n - 1), rel=1e-6)


def test_symmetric_scale_free_and_blind_to_the_order_of_clips() -> None:
    first, second = torch.randn(2, 6, 4, dtype=torch.float64)
    loss = float(nt_xent(first, second, 0.2))
    order = torch.randperm(6)
    for variant in [(second, first), (5 * first, second), (first[order], second[order])]:
        assert float(nt_xent(*variant, 0.2)) == pytest.approx(loss, abs=1e-12)
    assert float(nt_xent(first, second[torch.arange(6).roll(1)], 0.2)) != pytest.approx(loss, abs=1e-3)


def test_gradient_is_that_of_the_definition() -> None:
    first, second = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.3), (first, second))


def test_computed_in_single_precision_under_autocast() -> None:
    first, second = torch.randn(2, 32, 16)
    with torch.autocast("cpu", torch.bfloat16):
        inside = nt_xent(first, second, 0.2)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, nt_xent(first, second, 0.2))


def test_triplet_equals_torch_and_costs_the_margin_where_all_embeddings_are_equal() -> None:
    generator = torch.Generator().manual_seed(0)
    anchor, positive, negative = torch.randn(3, 20, 5, generator=generator, dtype=torch.float64)
    squared = torch.nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).square().sum(1), margin=0.7)
    assert triplet(anchor, positive, negative, 0.7).item() == pytest.approx(squared(anchor, positive, negative).item())
    assert triplet(anchor, anchor, anchor, 0.7).item() == pytest.approx(0.7)
