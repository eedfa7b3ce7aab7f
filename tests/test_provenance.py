"""What made a number."""

import subprocess
from pathlib import Path

from benchmark.provenance import commit, host, machine, versions


def test_versions_name_the_libraries_that_decide_the_numbers():
    import numpy
    import torch

    found = versions()
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["numpy"] == numpy.__version__


def test_a_changed_checkout_says_so(tmp_path: Path):
    assert commit(tmp_path) == "unknown"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "file").write_text("1")
    subprocess.run(["git", "add", "file"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "first"], cwd=tmp_path, check=True)
    clean = commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "file").write_text("2")
    assert commit(tmp_path) == clean + "+changes"
    assert commit(tmp_path, ignoring=["file"]) == clean
    assert commit(tmp_path, ignoring=["fil"]) == clean + "+changes"


def test_the_machine_is_named():
    assert machine()["processor"]
    assert machine()["cores"] >= 1


def test_a_host_also_names_its_vector_instructions():
    assert host().items() >= machine().items()
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    assert all(name in flags for name in host()["instructions"].split())
    assert ("avx2" in host()["instructions"].split()) == (" avx2 " in flags)
