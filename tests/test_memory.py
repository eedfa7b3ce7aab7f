from __future__ import annotations

import resource
import subprocess
import sys

import pytest

BYTES = 40_000_000  # more than glibc keeps by itself
CODE = f"""
import resource, sys
from benchmark.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
b"x" * {BYTES}
before = faults()
for _ in range(10):
    b"x" * {BYTES}
print(faults() - before)
"""


def faults(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True).stdout)


def test_freed_memory_is_used_again():
    pages = BYTES // resource.getpagesize()
    if faults("returned") < 9 * pages:
        pytest.skip("this system keeps freed memory, or maps it in large pages")
    assert faults("kept") < pages
