"""Stages that start at once: a process that has loaded the libraries is forked for each, where each would load them again.

``benchmark repro`` keeps one such process while DVC runs (:func:`warm_starts`). Every ``benchmark ...`` below it, also a rank
that a stage launches, hands over its arguments, environment, folder and standard streams (:func:`run_warm`), passes on the
signals that it gets, and ends as the stage ends; killed, it takes the stage with it. Libraries alone are loaded beforehand, and
nothing of them is called: each stage reads the project's own code anew, and no thread runs that a fork would lose. Without such
a process (plain ``dvc repro``, a GPU, another system than Linux, or libraries that are not loaded yet) a command starts as ever.

Run as a script, this file is that process; so it imports nothing of the project until it is a stage.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ADDRESS = "BENCHMARK_WARM"
"""Environment variable: the socket of the process to be forked."""
LIBRARIES = (
    "typer",
    "filelock",
    "yaml",
    "pydantic.main",  # pydantic itself loads nothing before it is used
    "pydantic.type_adapter",
    "pandas",
    "pyarrow.parquet",
    "pyarrow.pandas_compat",
    "soundfile",
    "soxr",
    "safetensors.torch",
    "torch._dynamo",  # the first use of any optimiser loads it
    "torchaudio.functional",
    "sklearn.linear_model",
    "sklearn.metrics",
    "scipy.stats",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "jinja2",
    "dvclive",
    "dvc.repo",  # by DVCLive, for each run
)
"""What is loaded before the forks."""
_STREAMS = (0, 1, 2)
_LENGTH_BYTES = 8


@contextlib.contextmanager
def warm_starts(device: str, libraries: Sequence[str] = LIBRARIES) -> Iterator[dict[str, str]]:
    """Load ``libraries`` beside whatever runs meanwhile; yields what commands need in their environment to use them.

    Nothing where stages run on a GPU: they take long, and its driver is best loaded by the process that uses it.
    """
    if device != "cpu" or sys.platform != "linux":
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:  # readable by this user alone
        address = str(Path(folder) / "socket")
        # by its path and without its folder on the path: `benchmark/statistics` would hide a standard module
        command = [sys.executable, "-P", __file__, address, *libraries]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            yield {ADDRESS: address}
        finally:
            server.communicate()  # it ends with its standard input, also where this process is killed


def run_warm(address: str, main: str) -> int | None:
    """Run this process's command as a fork of the process that listens at ``address``.

    Args:
        address: a value of ``ADDRESS``.
        main: what the command calls without arguments, as entry points name it: ``package.module:function``.

    Returns:
        The command's exit code; None where nobody listens (yet).
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
        except OSError:
            return None
        process = {"argv": sys.argv, "path": sys.path, "folder": os.getcwd(), "environment": dict(os.environ)}
        message = json.dumps({"main": main, **process}).encode()
        socket.send_fds(connection, [len(message).to_bytes(_LENGTH_BYTES)], _STREAMS)
        connection.sendall(message)
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, frame: connection.sendall(bytes([number])))
        code = connection.makefile().read()
    if not code:
        print("error: The process that ran this command was killed; run the same command again.", file=sys.stderr)
    return int(code or 1)


def _serve(listener: socket.socket) -> dict[str, Any] | None:
    """Fork for every command until standard input ends, then None; in the processes that are a command, what it is."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return None
        connection, _ = listener.accept()
        with connection:
            if not _fork():
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return _keep(connection)


def _keep(connection: socket.socket) -> dict[str, Any]:
    """Fork a command, pass signals on to it and its exit code back; returns in the command's process."""
    length, streams, _, _ = socket.recv_fds(connection, _LENGTH_BYTES, len(_STREAMS))
    message = connection.makefile("rb").read(int.from_bytes(length))
    if not length or len(message) < int.from_bytes(length):
        os._exit(1)  # killed while it spoke
    ended, running = os.pipe()
    command = _fork()
    if not command:
        os.setpgid(0, 0)
        os.close(ended)
        for stream, number in zip(streams, _STREAMS, strict=True):
            os.dup2(stream, number)
            os.close(stream)
        return dict(json.loads(message))
    with contextlib.suppress(OSError):  # whichever of the two comes first
        os.setpgid(command, command)
    os.close(running)
    gone = False
    while not gone and ended not in select.select([connection.fileno(), ended], [], [])[0]:
        word = connection.recv(1)
        gone = not word
        with contextlib.suppress(ProcessLookupError):
            os.killpg(command, signal.SIGKILL if gone else word[0])
    _, status = os.waitpid(command, 0)
    if not gone:
        code = os.waitstatus_to_exitcode(status)
        connection.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _fork() -> int:
    with warnings.catch_warnings():
        # of threads: NumPy's stop before a fork and start again after it
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _become(request: dict[str, Any]) -> None:
    """Make this process what the command would be on its own."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:], sys.argv[:] = request["path"], request["argv"]
    sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]


def _main(address: str, *libraries: str) -> None:
    for library in libraries:
        importlib.import_module(library)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{address}.new")
        listener.listen()
        os.rename(f"{address}.new", address)  # whoever sees it can connect
        request = _serve(listener)
    if request is None:
        shutil.rmtree(Path(address).parent, ignore_errors=True)  # nobody else does where the keeper was killed
        return
    _become(request)
    main, end_after = map(pkgutil.resolve_name, (request["main"], "benchmark.ending:end_after"))
    end_after(lambda: sys.exit(main()))


if __name__ == "__main__":
    _main(*sys.argv[1:])
