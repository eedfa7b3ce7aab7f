"""What made a number: library versions, the machine, the code's commit. Free of torch."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

NUMERIC = ("torch", "numpy", "scipy", "scikit-learn", "soxr", "soundfile")
"""Libraries whose version can change a number; a stage is run again when one of them changes."""


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide the numbers."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in NUMERIC}}


def commit(root: Path) -> str:
    """The checkout's commit, with ``+changes`` where the working tree differs, or ``unknown`` outside of git."""
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> dict[str, Any]:
    """Operating system, processor and cores of this machine."""
    return {"system": platform.system(), "processor": _processor(), "cores": os.cpu_count() or 0}


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
