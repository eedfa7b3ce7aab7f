from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def benchmark(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmark", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_published_writes_every_table(tmp_path: Path):
    done = benchmark("tables", "--published", "--out", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"464 published numbers in {tmp_path}.\n"), done.stderr
    assert {path.suffix for path in (tmp_path / "wang2021").glob("table-4.*")} == {".csv", ".md", ".tex", ".html"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "by one of --study <id>, --published or --papers"),
        (["--published", "--papers"], "by one of --study <id>, --published or --papers"),
        (["--published"], "Say by --out where"),
    ],
)
def test_a_wrong_word_is_one_sentence(words: list[str], sentence: str):
    done = benchmark("tables", *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_errata_prints_the_page():
    done = benchmark("errata")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
