"""Starting one process a rank on this machine, and saying in one sentence why they ended. Free of torch until it launches."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import BenchmarkError, RankLostError
from benchmark.jobs import Job

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

_ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
"""Where a process started by torchrun leaves the reason of its end."""
_SPEAKS = "BENCHMARK_LAUNCHER"
"""Set in processes whose launcher is :func:`launch`, which says what went wrong for all of them."""


class RankFailedError(BenchmarkError):
    """A rank failed; the exit code is that of its error."""


def is_main() -> bool:
    """Whether this process is the one that writes: rank 0 of those that torchrun started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def must_launch(job: Job) -> bool:
    """Whether a stage asks for ranks that nobody has started."""
    return job.machine.ranks > 1 and job.status == "ready" and "WORLD_SIZE" not in os.environ


def launch(ranks: int, arguments: Sequence[str]) -> None:
    """Run ``benchmark <arguments>`` in ``ranks`` processes, as torchrun does, until all end well or one does not.

    Raises:
        RankFailedError: one failed or was killed; the others were stopped.
        KeyboardInterrupt: this process was told to stop, and so were they.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # its reports go on for a page
    os.environ[_SPEAKS] = "1"
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP warns of what parallel_step chooses
    with tempfile.TemporaryDirectory(prefix="benchmark-ranks-") as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=ranks,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "benchmark", *arguments)
        except ChildFailedError as error:
            raise _reason(error.failures, ranks) from error
        except SignalException as error:
            raise KeyboardInterrupt from error
        finally:
            del os.environ[_SPEAKS]


def passed_on(sentence: str) -> bool:
    """Leave this process's error to what started it; False where the process has to say it itself.

    Of the processes that a bare torchrun started, the main one speaks too: torchrun wraps the sentence in a report.
    """
    if _ERROR_FILE not in os.environ:
        return False
    Path(os.environ[_ERROR_FILE]).write_text(json.dumps({"message": sentence, "timestamp": int(time.time())}))
    return _SPEAKS in os.environ or not is_main()


def _reason(failures: Mapping[int, ProcessFailure], ranks: int) -> RankFailedError:
    """What came first: ranks that were stopped, or that lost another, failed because of it."""
    rank, first = min(failures.items(), key=lambda item: (_consequence(item[1].exitcode), item[1].timestamp))
    who = f"rank {rank} of {ranks}"
    if first.exitcode < 0:
        error = RankFailedError(
            f"{who} was killed ({signal.Signals(-first.exitcode).name}), as happens where memory runs out; the others were "
            "stopped. Everything up to the last checkpoint is kept: run the same command again to go on."
        )
    elif "timestamp" in first.error_file_data:  # left by passed_on
        error = RankFailedError(first.message)
        error.exit_code = first.exitcode
    else:
        error = RankFailedError(f"{who} ended with exit code {first.exitcode}; what it said is above.")
    return error


def _consequence(code: int) -> bool:
    return code in {-signal.SIGTERM, RankLostError.exit_code}
