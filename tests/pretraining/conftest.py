"""Fixtures of the tests of pre-training."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from benchmark.corpus.store import Corpus
from tests.pretraining.toys import toy_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return toy_corpus(tmp_path_factory.mktemp("corpus") / "toy-16000")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
