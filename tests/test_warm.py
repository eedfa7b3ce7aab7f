"""A command that is a fork of a process with its libraries loaded is the command that it would be alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

from benchmark.warm import ADDRESS, run_warm, warm_starts
from tests.waiting import wait_until

ROOT = Path(__file__).parent.parent
CLIENT = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("warm", sys.argv.pop(1))
warm = importlib.util.module_from_spec(spec)
spec.loader.exec_module(warm)
sys.path.insert(0, os.environ["STAND_IN"])
sys.exit(warm.run_warm(os.environ["BENCHMARK_WARM"], "stand_in:main"))
"""
STAND_IN = """
import json, os, sys, time
loaded = "torch" in sys.modules
def main():
    if sys.argv[1] == "about":
        print(json.dumps({"argv": sys.argv[1:], "folder": os.getcwd(), "loaded": loaded, "environment": dict(os.environ)}))
        sys.exit(7)
    try:
        print(os.getpid(), flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(5)
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


def ended(pid: int) -> bool:
    """Whether a process runs no more, also where nobody has asked for its exit code."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def warm(loaded: Mapping[str, str]) -> dict[str, str]:
    """The environment of commands below a process that has loaded the libraries."""
    return {**os.environ, **loaded}


@pytest.fixture
def stand_in(warm: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a command whose code is the one above, in a folder of its own."""
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "benchmark" / "__init__.py").touch()
    shutil.copy(ROOT / "benchmark" / "ending.py", tmp_path / "benchmark")
    environment = {**warm, "STAND_IN": str(tmp_path)}
    file = ROOT / "benchmark" / "warm.py"

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CLIENT, str(file), *words]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)

    return start


@pytest.mark.parametrize("words", [["list", "tasks"], ["list", "nothing"], ["list", "runs", "--profile", "absent"]])
def test_it_says_and_returns_what_it_does_alone(warm: dict[str, str], words: list[str]):
    command = [str(Path(sys.executable).parent / "benchmark"), *words]
    forked = subprocess.run(command, cwd=ROOT, env=warm, capture_output=True, text=True)
    alone = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (forked.returncode, forked.stdout, forked.stderr) == (alone.returncode, alone.stdout, alone.stderr)
    assert alone.stdout or alone.stderr


def test_it_has_the_callers_code_words_folder_and_environment_and_loaded_libraries(
    stand_in: Callable[..., subprocess.Popen[str]], tmp_path: Path
):
    process = stand_in("about", "me")
    about = json.loads(process.communicate()[0])
    assert process.returncode == 7
    assert about["argv"] == ["about", "me"]
    assert about["folder"] == str(tmp_path)
    assert about["loaded"]
    assert about["environment"]["STAND_IN"] == str(tmp_path)
    assert ADDRESS in about["environment"], "so that the ranks it launches are forks too"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on(stand_in: Callable[..., subprocess.Popen[str]], number: signal.Signals):
    process = stand_in("sleep")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    assert process.wait(30) == (5 if number == signal.SIGINT else 128 + signal.SIGTERM)


def test_killed_itself_it_fails_as_killed(stand_in: Callable[..., subprocess.Popen[str]]):
    process = stand_in("sleep")
    assert process.stdout is not None
    os.kill(int(process.stdout.readline()), signal.SIGKILL)
    assert process.wait(30) == 128 + signal.SIGKILL


def test_it_does_not_outlive_its_caller(stand_in: Callable[..., subprocess.Popen[str]]):
    process = stand_in("sleep")
    assert process.stdout is not None
    command = int(process.stdout.readline())
    process.kill()
    process.wait()
    wait_until(lambda: ended(command))


def test_the_loaded_process_does_not_outlive_the_one_that_keeps_it():
    keep = """
import time
from benchmark.warm import warm_starts
with warm_starts("cpu", libraries=["json"]) as environment:
    print(*environment.values(), flush=True)
    time.sleep(60)
"""
    keeper = subprocess.Popen([sys.executable, "-c", keep], cwd=ROOT, stdout=subprocess.PIPE)
    assert keeper.stdout is not None
    folder = Path(keeper.stdout.readline().decode().strip()).parent
    assert folder.is_dir()
    (loaded,) = psutil.Process(keeper.pid).children()
    keeper.kill()
    keeper.wait()
    wait_until(lambda: ended(loaded.pid))
    assert not folder.exists()


def test_where_nobody_listens_a_command_starts_alone(tmp_path: Path):
    assert run_warm(str(tmp_path / "absent"), "stand_in:main") is None


def test_stages_on_a_gpu_start_alone():
    with warm_starts("cuda") as environment:
        assert environment == {}
