"""The stand-ins of all datasets, written and prepared once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark import registry
from benchmark.corpus.prepare import prepare
from benchmark.corpus.standin import ensure_standin
from benchmark.corpus.store import Corpus
from benchmark.records import Dataset

WITH_STANDIN = sorted(name for name in registry.plugins("dataset") if registry.load("dataset", name).has_standin)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("standins")


@pytest.fixture(params=WITH_STANDIN, scope="session")
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return registry.load("dataset", request.param)


def standin_corpus(root: Path, dataset: Dataset, rate: int = 16_000) -> Corpus:
    ensure_standin(dataset, root / "raw" / dataset.id)
    out = root / f"{dataset.id}-{rate}"
    if not (out / "manifest.json").exists():
        prepare(dataset, root / "raw" / dataset.id, out, rate, 2, True, root / "cache")
    return Corpus.open(out)


@pytest.fixture(scope="session")
def corpus(root: Path, dataset: Dataset) -> Corpus:
    return standin_corpus(root, dataset)
