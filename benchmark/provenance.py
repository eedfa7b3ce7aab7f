"""What made a number: library versions, the machine, the code's commit. Free of torch."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

NUMERIC = ("torch", "numpy", "scipy", "scikit-learn", "soxr", "soundfile")
"""Libraries whose version can change a number; a stage is run again when one of them changes."""
_VECTOR_INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide the numbers."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in NUMERIC}}


def commit(root: Path, ignoring: Sequence[str] = ()) -> str:
    """The checkout's commit, with ``+changes`` where tracked files differ, or ``unknown`` outside of git.

    Changes of the paths ``ignoring`` (relative to ``root``) do not count.
    """
    paths = [".", *(f":(exclude){path}" for path in ignoring)]
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no", "--", *paths) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def committed_text(root: Path, path: str) -> str | None:
    """A file as the checkout's commit holds it; None where it holds none."""
    try:
        return _git(root, "show", f"HEAD:./{path}")
    except (OSError, subprocess.CalledProcessError):
        return None


def machine() -> dict[str, Any]:
    """Operating system, processor and cores of this machine."""
    return {"system": platform.system(), "processor": _processor(), "cores": os.cpu_count() or 0}


def host() -> dict[str, Any]:
    """What of a machine can change a number: its :func:`machine` and the vector instructions its libraries choose from."""
    return {**machine(), "instructions": " ".join(_instructions())}


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def _processor() -> str:
    return _cpu_fact("model name") or platform.processor() or platform.machine()


def _instructions() -> list[str]:
    flags = set((_cpu_fact("flags") or _cpu_fact("Features")).split())
    return [name for name in _VECTOR_INSTRUCTIONS if name in flags]


def _cpu_fact(key: str) -> str:
    """The first processor's line ``key : value`` of the kernel's list; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() == key), "")
