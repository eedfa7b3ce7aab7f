"""What made a number."""

import subprocess
from pathlib import Path

from benchmark.provenance import commit, machine, versions


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


def test_the_machine_is_named():
    assert machine()["processor"]
    assert machine()["cores"] >= 1
