"""Units of several runs on Ray: on the processes of this machine, or on a cluster that shares its files.

Ray places units, and redoes those whose worker is lost. Results travel through the cache alone, as
:mod:`benchmark.evaluation.units` says, so a unit that is done twice, or by a worker that dies while it writes, leaves one whole
entry. Ray is imported nowhere else.
"""

from __future__ import annotations

import os
import signal
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmark import provenance, registry
from benchmark.artifacts import Cache, content_hash, write_text
from benchmark.closure import code_hash
from benchmark.errors import BenchmarkError, ConfigError, GridError
from benchmark.evaluation.units import Unit, by_embedding, compute, compute_embeddings, units
from benchmark.jobs import EvaluateJob
from benchmark.workspace import Workspace

LOCAL = "local"
"""The address that stands for processes of this machine."""

RETRIES = 5
"""How often a unit is redone whose worker is lost."""

_OBJECTS = 80 << 20
"""Bytes of shared memory that a local Ray takes, its least; jobs and answers are small."""


@dataclass(frozen=True)
class Cluster:
    """Where units run."""

    address: str = LOCAL
    """``local``, ``auto`` for the cluster that this machine belongs to, or ``host:port`` of its head."""
    workers: int | None = None
    """Units at a time on this machine; None fits the machine's cores. A cluster knows itself how many."""


@dataclass(frozen=True)
class Outcome:
    """What became of the units."""

    computed: int
    cached: int
    """Of units that the cache held at the start."""
    failed: tuple[Unit, ...]


@dataclass(frozen=True)
class _Terms:
    """What a worker must agree to before its first unit."""

    root: Path
    profile: str
    token: Path
    """A file in the cache, which every worker must be able to read."""
    word: str
    """What is in that file."""
    encoders: tuple[str, ...]
    code: str
    """Hash of the code and of the versions that make a cell."""


@dataclass(frozen=True)
class _Answer:
    """What a worker says of one unit."""

    error: str = ""
    refused: bool = False
    """Whether the error is of the worker and not of the unit."""
    processor: str = ""


def run_grid(
    jobs: Sequence[EvaluateJob], workspace: Workspace, cluster: Cluster, say: Callable[[str], None]
) -> Outcome:
    """Compute every cell of the jobs that the cache lacks. Ray is not started where there is none.

    Args:
        jobs: of runs that have been pre-trained.
        workspace: on a file system that all workers share, with the cache.
        cluster: where to compute.
        say: is given one line for each unit that fails, and notes.

    Raises:
        GridError: a worker has other code, other library versions or other files; nothing is computed with them.
        ConfigError: Ray is not installed, does not answer, or has no node large enough.
    """
    listed = {unit.key: (job, unit) for job in tqdm(jobs, "list cells", disable=None) for unit in units(job, workspace)}
    cache = Cache(workspace.cache)
    missing = {key: pair for key, pair in listed.items() if not pair[1].done(cache)}
    failed: list[Unit] = []
    if missing:
        of_run = {job.name: job for job, _ in missing.values()}
        with _ray(cluster, of_run.values()) as ray, _terms(workspace, of_run.values()) as terms:
            submitted = _submit(ray, terms, of_run, [unit for _, unit in missing.values()], cache)
            failed = _collect(ray, submitted, say)
    return Outcome(len(missing) - len(failed), len(listed) - len(missing), tuple(failed))


def _submit(ray: Any, terms: _Terms, jobs: dict[str, EvaluateJob], found: list[Unit], cache: Cache) -> dict[Any, Unit]:
    """Hand all units to Ray, which starts one when its embeddings are done: no worker waits for another's."""
    terms_ref, job_refs = ray.put(terms), {name: ray.put(job) for name, job in jobs.items()}
    submitted = {}
    for group in by_embedding(found):
        machine, job = jobs[group[0].run].machine, job_refs[group[0].run]
        needs = {
            "num_cpus": machine.threads,
            "num_gpus": int(machine.device.startswith("cuda")),
            "max_retries": RETRIES,
            "runtime_env": {"env_vars": {"BENCHMARK_CACHE": str(cache.root.resolve()), "OMP_WAIT_POLICY": "PASSIVE"}},
        }
        embedded = cache.path("embeddings", group[0].embedding).exists() or len(group) == 1
        before = None if embedded else ray.remote(_embed_unit).options(**needs).remote(terms_ref, job, group[0])
        for unit in group:
            work = ray.remote(_compute_unit).options(**needs)
            submitted[work.remote(terms_ref, job_refs[unit.run], unit, before)] = unit
    return submitted


def _collect(ray: Any, submitted: dict[Any, Unit], say: Callable[[str], None]) -> list[Unit]:
    """Wait for all units; returns those that failed."""
    failed, waiting, processors = [], list(submitted), {_processor()}
    with tqdm(total=len(waiting), desc="evaluate on Ray", unit="cell", disable=None) as bar:
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=1)
            for ref in ready:
                answer = _answer(ray, ref)
                if answer.refused:
                    raise GridError(answer.error)
                if answer.error:
                    failed.append(submitted[ref])
                    say(f"{submitted[ref]}: {answer.error}")
                if answer.processor and answer.processor not in processors:
                    processors.add(answer.processor)
                    say(
                        f"note: a worker's processor is {answer.processor}, not this machine's {_processor()}; "
                        "its scores may differ in the last digits from those computed here."
                    )
                bar.update()
    return failed


def _answer(ray: Any, ref: Any) -> _Answer:
    """A unit's answer, or the error that kept its worker from giving one."""
    try:
        answer: _Answer = ray.get(ref)
        return answer
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, Exception) else error
        lines = str(cause).strip().splitlines() or [""]
        return _Answer(f"{type(cause).__name__}: {lines[-1 if cause is error else 0]}")
    except ray.exceptions.RayError as error:
        return _Answer(
            f"its worker was lost {RETRIES + 1} times ({type(error).__name__}); look at that machine's memory, "
            "then run the same command again."
        )


@contextmanager
def _ray(cluster: Cluster, jobs: Any) -> Iterator[Any]:
    """Ray, started or joined for the block.

    Raises:
        ConfigError: it is not installed, does not answer, or has no node with as many cores as a unit takes.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    threads = max(job.machine.threads for job in jobs)
    terminate = signal.getsignal(signal.SIGTERM)
    ray = _import_ray()
    options: dict[str, Any] = {"address": cluster.address, "log_to_driver": False, "logging_level": "error"}
    if cluster.address == LOCAL:
        workers = cluster.workers or max(1, (os.cpu_count() or 1) // threads)
        options |= {"num_cpus": workers * threads, "include_dashboard": False, "object_store_memory": _OBJECTS}
    elif cluster.workers:
        raise ConfigError("--workers is for this machine's processes; a cluster has as many as its nodes' cores allow.")
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"Ray does not answer at {cluster.address!r} ({str(error).splitlines()[0]}); start it with `ray start --head`, "
            "or leave --address out to use this machine alone."
        ) from error
    try:
        signal.signal(signal.SIGTERM, terminate)  # Ray sets its own; ours says that finished work is kept
        largest = max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
        if largest < threads:
            raise ConfigError(
                f"machine.threads: a unit takes {threads} cores, and no node of the Ray cluster has more than {largest:g}; "
                "start a larger node."
            )
        yield ray
    finally:
        ray.shutdown()


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ConfigError(
            "The evaluation grid needs Ray, which is not installed; `pip install 'ssl-audio-benchmark[grid]'` installs it, "
            "and `benchmark evaluate --shard` does without."
        ) from error
    return ray


@contextmanager
def _terms(workspace: Workspace, jobs: Any) -> Iterator[_Terms]:
    """What workers must agree to; its token lies in the cache for as long as the block runs."""
    word, encoders = uuid.uuid4().hex, tuple(sorted({job.encoder for job in jobs}))
    token = workspace.cache.resolve() / "grid" / f"{word}.token"
    write_text(token, word)
    try:
        yield _Terms(workspace.root.resolve(), workspace.profile, token, word, encoders, _code(encoders))
    finally:
        token.unlink(missing_ok=True)


def _code(encoders: Sequence[str]) -> str:
    """Hash of the code and of the library versions that make a cell, as they are here."""
    modules = ["benchmark.evaluation.units", *(registry.find("encoder", name).module for name in encoders)]
    return content_hash([code_hash(modules), provenance.versions()])


# What follows runs on the workers.


def _embed_unit(terms: _Terms, job: EvaluateJob, unit: Unit) -> _Answer:
    return _attempt(terms, lambda workspace: compute_embeddings(job, workspace, unit))


def _compute_unit(terms: _Terms, job: EvaluateJob, unit: Unit, before: _Answer | None) -> _Answer:
    """``before`` is the answer on the embeddings that the unit reads, where they had to be computed."""
    if before and before.error:
        return before
    return _attempt(terms, lambda workspace: compute(job, workspace, [unit]))


def _attempt(terms: _Terms, work: Callable[[Workspace], None]) -> _Answer:
    if refusal := _refusal(terms):
        return _Answer(refusal, refused=True)
    try:
        work(Workspace(terms.root, terms.profile))
    except BenchmarkError as error:
        return _Answer(str(error))
    return _Answer(processor=_processor())


@lru_cache(maxsize=1)
def _refusal(terms: _Terms) -> str:
    """Why this process must not work on the grid; empty where it may."""
    host = socket.gethostname()
    try:
        seen = terms.token.read_text(encoding="utf-8") == terms.word and terms.root.is_dir()
    except OSError:
        seen = False
    if not seen:
        return (
            f"The worker on {host} does not see the files in {terms.token.parent.parent} and {terms.root}; put the project "
            "and its cache (BENCHMARK_CACHE) on a file system that all machines share, at the same path."
        )
    try:
        same = _code(terms.encoders) == terms.code
    except ConfigError:  # an encoder that is not installed there
        same = False
    if not same:
        return (
            f"The worker on {host} runs other code or library versions than this machine; install the same checkout and "
            "requirements.lock there."
        )
    return ""


@lru_cache(maxsize=1)
def _processor() -> str:
    facts = provenance.host()
    return f"{facts['processor']} ({facts['instructions']})"
