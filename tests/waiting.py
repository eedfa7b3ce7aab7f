"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found], seconds: float = 60) -> Found:
    """Wait for the condition, and fail where it does not hold in time; returns what made it hold."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, f"it did not happen within {seconds:g} s"
        time.sleep(0.05)
    return found
