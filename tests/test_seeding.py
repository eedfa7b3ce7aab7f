"""Streams are pure functions of their names and leave global generators alone."""

import numpy as np
import torch

from benchmark.seeding import isolated_torch_seed, numpy_stream, stream_seed, torch_stream


def test_a_stream_is_a_pure_function_of_its_name():
    first = numpy_stream(3, "run", 17, "crops").integers(1 << 40, size=5)
    assert np.array_equal(first, numpy_stream(3, "run", 17, "crops").integers(1 << 40, size=5))


def test_seeds_are_pinned_across_versions_and_platforms():
    assert stream_seed(0, "run", 1, "crops") == 2924421859756819788


def test_neighbouring_names_and_types_give_different_streams():
    names = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 1), (0, "a", "1"), (0, "a1"), (0, "a", 11), (0, "a", 1, 1)]
    assert len({stream_seed(*name) for name in names}) == len(names)


def test_torch_streams_repeat_and_do_not_move_the_global_generator():
    before = torch.get_rng_state()
    first = torch.rand(4, generator=torch_stream(0, "noise"))
    assert torch.equal(first, torch.rand(4, generator=torch_stream(0, "noise")))
    assert torch.equal(before, torch.get_rng_state())


def test_isolated_seed_fixes_module_construction_and_restores_the_global_generator():
    before = torch.get_rng_state()
    weights = []
    for _ in range(2):
        with isolated_torch_seed(5, "encoder"):
            weights.append(torch.nn.Linear(3, 3).weight)
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(before, torch.get_rng_state())
