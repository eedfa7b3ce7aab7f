"""`dvc repro` with several stages at a time: DVC runs one after the other, and lets several of its processes share a workspace.

DVC alone decides what must run, and starts it. Here stages that do not wait for each other are dealt out to several
processes of it: corpora (``prepare``), runs (``pretrain`` and then ``evaluate``) and studies (``tables``). What waits for
all of a kind runs after them, as ever. A stage computes the same bits whatever runs beside it, and whether it loads its
libraries itself or not.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

from tqdm import tqdm

from benchmark.config import Params, load_params
from benchmark.errors import StageError
from benchmark.stages import plan_stage, scan_stage, split_corpus
from benchmark.warm import warm_starts
from benchmark.workspace import Workspace

_DVC = (sys.executable, "-m", "dvc")
_STATUS = (
    sys.executable,
    "-c",
    "import sys, dvc.repo.status, scmrepo.git; from dvc.cli import main\n"  # all that loads slowly
    "sys.exit(main(['status', '--json']) if sys.stdin.read() else 1)",  # no word where its starter was killed
)
"""``dvc status --json`` that loads, and waits for a word before it looks."""
_SHARE = 2
"""A part is what is left, divided by this and by the stages at a time."""
_PAUSE = 0.1
"""Seconds between looks at what runs."""
_FAILED = "for the reason above; everything else is kept, so mend it and run the same command again."


def repro(workspace: Workspace, jobs: int | None = None) -> None:
    """Bring the selected profile up to date, ``jobs`` stages at a time.

    By default there are two on processors, where one loads libraries while the other computes, and one on a GPU, whose memory
    two might not share.

    Raises:
        StageError: a stage failed; the others are done, but for those that wait for it.
    """
    params = load_params(workspace.root)
    changed = _look(workspace, params)
    if changed is not None and not changed:
        print(f"Profile {workspace.profile} is up to date.")
        return
    device = params.machine_of(workspace.profile).device
    with warm_starts(device) as environment:
        _reproduce(_Dvc(workspace, environment), params, jobs or (2 if device == "cpu" else 1), changed)


def _look(workspace: Workspace, params: Params) -> set[str] | None:
    """The stages that would run beside bookkeeping, which is done here: DVC would write its lock file after each part of it.

    None where nobody knows yet, as corpora must be prepared first, on which the plan depends.
    """
    if not (workspace.root / "dvc.lock").exists() or _unprepared(workspace, params):
        return None

    def bookkeeping() -> None:
        scan_stage(workspace)
        plan_stage(workspace)

    changed = _Dvc(workspace, {}).changed(bookkeeping)
    changed -= {f"scan@{workspace.profile}", f"plan@{workspace.profile}"}
    return None if any(stage.startswith("prepare@") for stage in changed) else changed


def _unprepared(workspace: Workspace, params: Params) -> list[str]:
    """The selected corpora that have never been prepared."""
    return [corpus for corpus in params.active.corpora if not workspace.manifest(*split_corpus(corpus)).exists()]


def _reproduce(dvc: _Dvc, params: Params, jobs: int, changed: set[str] | None) -> None:
    """What is said of :func:`repro`, where :func:`_look` has found what ``changed``."""
    if jobs == 1:
        dvc.run("repro", "--keep-going")
        return
    if changed is None:
        _prepare(dvc, params, jobs)
        changed = dvc.changed()
    profile, active = dvc.workspace.profile, params.active
    runs = {run: [f"{stage}@{profile}-{run}" for stage in ("pretrain", "evaluate")] for run in active.runs}
    waiting = {run: stages for run, stages in runs.items() if any(stage in changed for stage in stages)}
    if len(waiting) > 1:
        _side_by_side(dvc, waiting, jobs, "runs")
    elif waiting:  # alone it may show its own progress
        dvc.run("repro", "--single-item", *next(iter(waiting.values())))
    aggregate, report = f"aggregate@{profile}", f"report@{profile}"
    tables = {study: [f"tables@{profile}-{study}"] for study in active.studies}
    before_report = [aggregate, *chain.from_iterable(tables.values())]
    rendered = waiting or changed.intersection(before_report)
    if rendered and len(tables) > 1:
        dvc.run("repro", "--single-item", aggregate)
        _side_by_side(dvc, tables, jobs, "studies")
    if rendered or report in changed:
        dvc.run("repro", "--single-item", "--keep-going", *before_report, report)


def _prepare(dvc: _Dvc, params: Params, jobs: int) -> None:
    """Everything up to the plan."""
    profile = dvc.workspace.profile
    absent = _unprepared(dvc.workspace, params)
    if len(absent) > 1:
        dvc.run("repro", "--single-item", f"scan@{profile}")
        _side_by_side(dvc, {corpus: [f"prepare@{profile}-{corpus}"] for corpus in absent}, jobs, "corpora")
    dvc.run("repro", f"plan@{profile}")


@dataclass(frozen=True)
class _Dvc:
    """How DVC is run: where, and with what in its environment."""

    workspace: Workspace
    environment: Mapping[str, str]

    def run(self, *words: str) -> None:
        """One DVC process."""
        process = self.start([*_DVC, *words])
        with _interrupted_too(process):
            process.wait()
        _check(process, words[0])

    def changed(self, first: Callable[[], None] = lambda: None) -> set[str]:
        """The stages that DVC would run once ``first`` is done, beside which it loads.

        Of all stages, since it reads its files again for each one that is named.
        """
        process = self.start(_STATUS, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with _interrupted_too(process):
            first()
            said, _ = process.communicate(b"go")
        _check(process, "status")
        return set(json.loads(said))

    def start(
        self,
        command: Sequence[str],
        stdin: int | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """A DVC process in a session of its own, so that an interrupt can reach all that runs below it, and nothing else.

        The stages' command is found where this Python is, also outside of an activated environment.
        """
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return subprocess.Popen(
            command,
            cwd=self.workspace.root,
            env={**os.environ, "PATH": path, **self.environment},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )


def _check(process: subprocess.Popen[bytes], word: str) -> None:
    if process.returncode:
        raise StageError(f"`dvc {word}` failed, {_FAILED}")


@contextlib.contextmanager
def _interrupted_too(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the process where the block does not end well."""
    try:
        yield
    except BaseException:
        _interrupt(process)
        _wait(process)
        raise


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """End DVC, which would go on with the next stage, and the stage, which saves its state.

    Not by Ctrl-C's signal: what a script starts in the background ignores it.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for the last process of the session."""
    process.wait()
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.killpg(process.pid, 0)
            time.sleep(_PAUSE)


@dataclass(frozen=True)
class _Part:
    """Some of the work, in a DVC process."""

    names: list[str]
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    """What its stages say, kept until it ends: lines of several would mix, and progress bars too."""

    @classmethod
    def start(cls, dvc: _Dvc, names: list[str], stages: list[str]) -> _Part:
        """Reproduce the stages in order."""
        output = tempfile.TemporaryFile()  # noqa: SIM115 (it outlives this function, and goes with the part)
        words = ["--wait-for-lock", "repro", "--quiet", "--single-item", "--keep-going", *stages]
        return cls(names, dvc.start([*_DVC, *words], stdout=output, stderr=subprocess.STDOUT), output)

    def said(self) -> str:
        """All that its stages have said."""
        self.output.seek(0)
        return self.output.read().decode(errors="replace").strip()


def _side_by_side(dvc: _Dvc, work: Mapping[str, list[str]], jobs: int, unit: str) -> None:
    """Reproduce the stages of each piece of work in order, ``jobs`` pieces at a time.

    Raises:
        StageError: a stage failed; the other pieces are done.
    """
    done = failed = 0
    with (
        contextlib.closing(_ended(dvc, work, jobs)) as ended,
        tqdm(total=len(work), desc=f"{dvc.workspace.profile}, {jobs} at a time", unit=unit, disable=None) as bar,
    ):
        for part in ended:
            done += len(part.names)
            failed += part.process.returncode != 0
            bar.update(len(part.names))
            if said := part.said():
                tqdm.write(said, file=sys.stderr)
            tqdm.write(f"{done} of {len(work)} {unit}: {', '.join(part.names)}")
    if failed:
        raise StageError(f"Some {unit} failed, {_FAILED}")


def _ended(dvc: _Dvc, work: Mapping[str, list[str]], jobs: int) -> Generator[_Part]:
    """Each part of the work as it ends, ``jobs`` running at a time; whoever leaves early interrupts those and waits for them."""
    waiting, running = deque(_parts(list(work), jobs)), list[_Part]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                names = waiting.popleft()
                running.append(_Part.start(dvc, names, [stage for name in names for stage in work[name]]))
            time.sleep(_PAUSE)
            ended = [part for part in running if part.process.poll() is not None]
            running = [part for part in running if part.process.returncode is None]
            yield from ended
    finally:
        for part in running:
            _interrupt(part.process)
        for part in running:
            _wait(part.process)


def _parts(names: Sequence[str], jobs: int) -> list[list[str]]:
    """The names in order, in parts that shrink: few starts of DVC, and in the end none waits long for the last."""
    parts, start = list[list[str]](), 0
    while start < len(names):
        size = -(-(len(names) - start) // (jobs * _SHARE))
        parts.append(list(names[start : start + size]))
        start += size
    return parts
