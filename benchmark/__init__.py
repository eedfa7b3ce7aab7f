"""The engine's public face: what methods, encoders, tasks, datasets and outside plugins may use.

Names are imported on first use, so that listing plugins or planning a pipeline never imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

EXPORTS: dict[str, str] = {
    "Archive": "benchmark.records",
    "Batch": "benchmark.pretraining.method",
    "BenchmarkError": "benchmark.errors",
    "Config": "benchmark.config",
    "ConfigError": "benchmark.errors",
    "Count": "benchmark.config",
    "CropRequest": "benchmark.pretraining.method",
    "DataError": "benchmark.errors",
    "Dataset": "benchmark.records",
    "Encoder": "benchmark.signal.encoder",
    "EncoderConfig": "benchmark.config",
    "Fraction": "benchmark.config",
    "LogMel": "benchmark.signal.frontend",
    "LogMelConfig": "benchmark.signal.frontend",
    "LogMelEncoder": "benchmark.signal.encoder",
    "Method": "benchmark.pretraining.method",
    "MethodConfig": "benchmark.config",
    "Positive": "benchmark.config",
    "Step": "benchmark.pretraining.method",
    "Task": "benchmark.records",
    "Training": "benchmark.config",
    "isolated_torch_seed": "benchmark.seeding",
    "numpy_stream": "benchmark.seeding",
    "torch_stream": "benchmark.seeding",
}
"""Public name -> module; the plan's code closures resolve ``from benchmark import ...`` through it."""

__all__ = list(EXPORTS)  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in EXPORTS:
        raise AttributeError(f"module 'benchmark' has no attribute {name!r}")
    value = getattr(importlib.import_module(EXPORTS[name]), name)
    globals()[name] = value
    return value


if TYPE_CHECKING:
    from benchmark.config import Config as Config
    from benchmark.config import Count as Count
    from benchmark.config import EncoderConfig as EncoderConfig
    from benchmark.config import Fraction as Fraction
    from benchmark.config import MethodConfig as MethodConfig
    from benchmark.config import Positive as Positive
    from benchmark.config import Training as Training
    from benchmark.errors import BenchmarkError as BenchmarkError
    from benchmark.errors import ConfigError as ConfigError
    from benchmark.errors import DataError as DataError
    from benchmark.pretraining.method import Batch as Batch
    from benchmark.pretraining.method import CropRequest as CropRequest
    from benchmark.pretraining.method import Method as Method
    from benchmark.pretraining.method import Step as Step
    from benchmark.records import Archive as Archive
    from benchmark.records import Dataset as Dataset
    from benchmark.records import Task as Task
    from benchmark.seeding import isolated_torch_seed as isolated_torch_seed
    from benchmark.seeding import numpy_stream as numpy_stream
    from benchmark.seeding import torch_stream as torch_stream
    from benchmark.signal.encoder import Encoder as Encoder
    from benchmark.signal.encoder import LogMelEncoder as LogMelEncoder
    from benchmark.signal.frontend import LogMel as LogMel
    from benchmark.signal.frontend import LogMelConfig as LogMelConfig
