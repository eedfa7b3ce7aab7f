"""The ``benchmark`` command: as a fork of a process that has loaded the libraries, where there is one."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from benchmark.warm import ADDRESS, run_warm


def main() -> NoReturn:
    """Run a command; see :func:`benchmark.cli.main`."""
    if ADDRESS in os.environ and (code := run_warm(os.environ[ADDRESS], "benchmark.cli:main")) is not None:
        sys.exit(code)
    from benchmark.cli import main as run
    from benchmark.ending import end_after

    end_after(run)


if __name__ == "__main__":
    main()
