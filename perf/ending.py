"""The end of a command that is a fork of a process with its libraries loaded: at once, against taking the interpreter apart."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from benchmark.ending import end_after
from benchmark.warm import LIBRARIES
from perf.measure import alternate, report


def forked(end: Callable[[], NoReturn]) -> None:
    """Fork this process, let the fork end, and wait for it."""
    process = os.fork()
    if not process:
        end()
    os.waitpid(process, 0)


def main() -> None:
    for library in LIBRARIES:
        importlib.import_module(library)
    at_once = partial(end_after, lambda: None)
    report("ending", alternate(partial(forked, sys.exit), partial(forked, at_once), repeats=9))


if __name__ == "__main__":
    main()
