"""Time two ways of doing the same work in turns, and print what was measured as one JSON object."""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from benchmark import provenance

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "torchaudio", "soundfile", "soxr")


def alternate(
    baseline: Callable[[], Any], candidate: Callable[[], Any], repeats: int = 5, warm: bool = True
) -> dict[str, Any]:
    """Median seconds of two functions that do the same work, timed in turns so that a drift of the machine hits both.

    With ``warm`` each is called once untimed first. Which of the two goes first changes from round to round.

    Returns:
        ``baseline_s`` and ``candidate_s`` (medians), ``ratio`` (baseline / candidate: above 1 the candidate is faster),
        every time measured, and ``repeats``.
    """
    functions = {"baseline": baseline, "candidate": candidate}
    for function in functions.values() if warm else ():
        function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    for round_ in range(repeats):
        for name in sorted(functions, reverse=bool(round_ % 2)):
            times[name].append(_seconds(functions[name]))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "baseline_s": medians["baseline"],
        "candidate_s": medians["candidate"],
        "ratio": medians["baseline"] / medians["candidate"],
        "baseline_times_s": times["baseline"],
        "candidate_times_s": times["candidate"],
        "repeats": repeats,
    }


def _seconds(function: Callable[[], Any]) -> float:
    gc.collect()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def report(name: str, results: Mapping[str, Any]) -> None:
    """Print one JSON object: the benchmark's name, its results and the facts of the machine they were measured on."""
    print(json.dumps({"benchmark": name, **results, "machine": machine()}, indent=1))


def machine() -> dict[str, Any]:
    """Facts that a speed depends on: processor, usable cores, threads, package versions and the load at this moment."""
    here = provenance.machine()
    facts: dict[str, Any] = {
        "system": here["system"],
        "processor": here["processor"],
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "packages": {package: metadata.version(package) for package in _PACKAGES},
    }
    if torch := sys.modules.get("torch"):
        facts["torch_threads"] = torch.get_num_threads()
        if torch.cuda.is_initialized():
            facts |= {
                "gpu": torch.cuda.get_device_name(),
                "cuda": torch.version.cuda,
                "cudnn": torch.backends.cudnn.version(),
            }
    return facts
