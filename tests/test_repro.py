"""How work is dealt out; `tests/pipeline` runs it."""

import pytest

from benchmark.repro import _parts


@pytest.mark.parametrize(
    ("count", "jobs", "sizes"),
    [(19, 2, [5, 4, 3, 2, 2, 1, 1, 1]), (3, 2, [1, 1, 1]), (33, 8, [3] + [2] * 7 + [1] * 16)],
)
def test_work_is_dealt_out_in_order_in_parts_that_shrink(count: int, jobs: int, sizes: list[int]):
    names = [str(number) for number in range(count)]
    parts = _parts(names, jobs)
    assert [len(part) for part in parts] == sizes
    assert [name for part in parts for name in part] == names
