"""What the C library does with memory that is freed."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt``."""
_KEPT_BYTES = 256 << 20


def keep_freed_memory() -> None:
    """Let this process keep what it frees, up to 256 MiB, and use it again.

    Else glibc returns every large array to the system at once, and each new one is mapped in page by page as it is first written:
    a fifth of the processor time of some evaluations (docs/performance.md). Without glibc nothing changes.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
