"""How work is dealt out; `tests/pipeline` runs it."""

import pytest

from benchmark.repro import _parts


@pytest.mark.parametrize(("count", "jobs", "sizes"), [(32, 2, [4] * 8), (3, 2, [1, 1, 1]), (33, 8, [2] * 16 + [1])])
def test_work_is_dealt_out_in_order_and_evenly(count: int, jobs: int, sizes: list[int]):
    names = [str(number) for number in range(count)]
    parts = _parts(names, jobs)
    assert [len(part) for part in parts] == sizes
    assert [name for part in parts for name in part] == names
