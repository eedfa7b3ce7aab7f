"""``python -m tests.forked package.module:function ...``: call a function, as a fork of a process with its libraries loaded.

Where there is no such process (:func:`benchmark.warm.warm_starts`) the function is called here.
"""

import os
import pkgutil
import sys

from benchmark.warm import ADDRESS, run_warm

if __name__ == "__main__":
    main = sys.argv.pop(1)
    if ADDRESS in os.environ and (code := run_warm(os.environ[ADDRESS], main)) is not None:
        sys.exit(code)
    sys.exit(pkgutil.resolve_name(main)())
