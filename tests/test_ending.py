"""A command that ends at once does what Python would have done at its end, and returns what it would have returned."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LATE = """
import atexit, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
atexit.register(lambda: print("at exit"))
def late():
    time.sleep(0.3)
    print("late")
def main():
    threading.Thread(target=late).start()
    ThreadPoolExecutor(1).submit(time.sleep, 0)  # its thread waits until it is told that all ends
    sys.stdout.write("no newline;")
    sys.stderr.write("said")
    {last}
"""
ENDS = {
    "at_once": "from benchmark.ending import end_after; end_after(main)",
    "as_ever": "main()",
}


def ended(last: str, how: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    code = LATE.format(last=last) + ENDS[how]
    command, buffered = [sys.executable, "-c", code], {**os.environ, "PYTHONUNBUFFERED": ""}
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, env=buffered)


@pytest.mark.parametrize("last", ["pass", "sys.exit(0)", "sys.exit(7)", "sys.exit()", "sys.exit('why')"])
def test_it_says_and_returns_what_an_ending_interpreter_does(last: str):
    at_once, as_ever = (ended(last, how) for how in ENDS)
    assert "late" in as_ever.stdout
    assert as_ever.stdout.endswith("at exit\n")
    assert (at_once.stdout, at_once.stderr, at_once.returncode) == (as_ever.stdout, as_ever.stderr, as_ever.returncode)


def test_a_crash_shows_its_traceback():
    done = ended("raise RuntimeError('planted')", "at_once")
    assert done.returncode == 1
    assert done.stderr.endswith("RuntimeError: planted\n")
    assert "in main\n" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w") as full:
        codes = [ended("pass", how, full.fileno()).returncode for how in ENDS]
    assert codes == [120, 120]
