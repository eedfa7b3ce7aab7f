"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

import pytest

from benchmark.memory import keep_freed_memory
from benchmark.warm import ADDRESS, warm_starts
from tests.waiting import wait_until

keep_freed_memory()  # as the command line does
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does; read when torch loads
for library in ("OMP", "OPENBLAS", "MKL"):
    # Tests run a process a core. A second thread on a small problem waits for work in a loop, ten times the time of the work.
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

ROOT = Path(__file__).parent.parent
SHARED = "BENCHMARK_TESTS_WARM"
"""Environment variable: the socket of the process with libraries loaded, where several processes of tests share it."""


def real_audio_folder() -> Path | None:
    """Real recordings: BENCHMARK_DATA, else data/raw, else a folder `data` in a directory beside the checkout."""
    candidates = [os.environ.get("BENCHMARK_DATA"), ROOT / "data" / "raw", *sorted(ROOT.parent.glob("*/data"))]
    for candidate in candidates:
        if candidate and (Path(candidate) / "ESC-50-master" / "meta" / "esc50.csv").is_file():
            return Path(candidate)
    return None


@contextmanager
def interruptible() -> Iterator[None]:
    """What a script starts in the background ignores Ctrl-C's signal, and so would all that is started below these tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def loaded_process() -> AbstractContextManager[Mapping[str, str]]:
    """A process with its libraries loaded: the one of all processes of these tests, or one of our own."""
    return nullcontext({ADDRESS: os.environ[SHARED]}) if SHARED in os.environ else warm_starts("cpu")


def pytest_configure(config: pytest.Config) -> None:
    """One process with libraries loaded for all processes of the tests, which are started next."""
    if config.getoption("numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ:
        kept = ExitStack()
        config.add_cleanup(kept.close)
        with interruptible():
            for address in kept.enter_context(warm_starts("cpu")).values():
                os.environ[SHARED] = address


def pytest_collectstart() -> None:
    """No search for garbage walks what is loaded and collected; of several processes, those alone that collect."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that of two processes none is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What was imported and collected lives to the end: no search for garbage walks it again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run of the tests, the same in all its processes: what is written there is written under a lock."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def resolved_runs(shared_folder: Path) -> Path:
    """A cache that the tests of plans share: what a run resolves to is keyed by what was asked and by the code."""
    return shared_folder / "resolved-runs"


@pytest.fixture(scope="session", autouse=True)
def resolved_here() -> Iterator[None]:
    """What the planner leaves to a child process is done in this one, which loads torch once; ``test_resolve`` asks the child."""
    from benchmark import resolve

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolve, "_in_child", resolve._in_this_process)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Files are written as ever; a power cut in the middle of a test is no matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def loaded() -> Iterator[Mapping[str, str]]:
    """The environment of commands that are forks of a process with its libraries loaded: see :mod:`benchmark.warm`.

    Until they are loaded commands would start alone, so this waits for them.
    """
    with interruptible(), loaded_process() as environment:
        if environment:
            wait_until(Path(environment[ADDRESS]).exists)
        yield environment


@pytest.fixture
def shared_cache(resolved_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans resolve what no test before them has resolved."""
    monkeypatch.setenv("BENCHMARK_CACHE", str(resolved_runs))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with this checkout's params.yaml and studies, to be spoilt."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    return tmp_path


@pytest.fixture(scope="session")
def real_audio() -> Path:
    """The folder with ESC-50-master, UrbanSound8K and free-spoken-digit-dataset-master, or a skip that says so."""
    folder = real_audio_folder()
    if folder is None:
        pytest.skip("real audio not found: set BENCHMARK_DATA to the folder that holds ESC-50-master")
    return folder
