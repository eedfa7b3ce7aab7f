"""How a command ends: at once, as a forked process of the standard library's ``multiprocessing`` does."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import NoReturn

_CRASHED = 1
_UNWRITTEN = 120
"""Python's own exit code where standard output cannot be written at the end."""


def end_after(main: Callable[[], object]) -> NoReturn:
    """Call ``main``, then end this process with its exit code, without taking the interpreter apart.

    Python would free all that its libraries hold, object by object: most of a second of every stage, more than many a one
    computes (docs/performance.md). Threads are waited for, what was registered for the exit is done, and streams are written.
    """
    code = 0
    try:
        main()
    except SystemExit as ending:
        if isinstance(ending.code, str):  # as Python does: said, and a failure
            print(ending.code, file=sys.stderr)
            code = _CRASHED
        else:
            code = ending.code or 0
    except BaseException:
        traceback.print_exc()
        code = _CRASHED
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or _UNWRITTEN
    os._exit(code)
