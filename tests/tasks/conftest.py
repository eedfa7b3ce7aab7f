"""The stand-ins of all datasets, written and prepared once, whatever the number of processes; tests only read them."""

from __future__ import annotations

from pathlib import Path

import filelock
import pytest

from benchmark import registry
from benchmark.corpus.prepare import prepare
from benchmark.corpus.standin import ensure_standin
from benchmark.corpus.store import Corpus
from benchmark.records import Dataset

WITH_STANDIN = sorted(name for name in registry.plugins("dataset") if registry.load("dataset", name).has_standin)


@pytest.fixture(scope="session")
def root(shared_folder: Path) -> Path:
    folder = shared_folder / "standins"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(params=WITH_STANDIN, scope="session")
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return registry.load("dataset", request.param)


def standin_corpus(root: Path, dataset: Dataset, rate: int = 16_000) -> Corpus:
    ensure_standin(dataset, root / "raw" / dataset.id)
    out = root / f"{dataset.id}-{rate}"
    with filelock.FileLock(root / f"{out.name}.lock"):
        if not (out / "manifest.json").exists():
            prepare(dataset, root / "raw" / dataset.id, out, rate, 2, True, root / "cache")
    return Corpus.open(out)


@pytest.fixture(scope="session")
def corpus(root: Path, dataset: Dataset) -> Corpus:
    return standin_corpus(root, dataset)
