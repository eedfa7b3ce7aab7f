"""The contract of every task, held on stand-ins: splits without leaks, and labels that only the audio tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmark import registry
from benchmark.corpus.splits import classes, folds, labels
from benchmark.corpus.store import Corpus
from benchmark.records import Dataset, Task
from tests.tasks.conftest import standin_corpus

SPLIT = {  # tasks with one split: classes of their stand-ins
    "librispeech_speaker": 8,
    "musan": 3,
    "nsynth_instrument": 11,
    "nsynth_pitch": 8,
    "speech_commands_v1": 8,
    "speech_commands_v2": 8,
    "spoken_language_id": 3,
    "voxceleb1_speaker": 8,
    "voxforge_language": 6,
}
IN_TREE = ["esc10", "esc50", "fsdd_digit", "fsdd_digit_official", "fsdd_speaker", "us8k", *SPLIT]
FOLDS = {"esc10": 5, "esc50": 5, "fsdd_digit": 6, "fsdd_digit_official": 1, "fsdd_speaker": 1, "us8k": 10}
FOLDS |= dict.fromkeys(SPLIT, 1)
CLASSES = {"esc10": 10, "esc50": 50, "fsdd_digit": 10, "fsdd_digit_official": 10, "fsdd_speaker": 6, "us8k": 10}
CLASSES |= SPLIT


@pytest.fixture(params=sorted(registry.plugins("task")), scope="module")
def task(request: pytest.FixtureRequest) -> Task:
    return registry.load("task", request.param)


@pytest.fixture(scope="module")
def record(task: Task) -> Dataset:
    return registry.load("dataset", task.dataset)


@pytest.fixture(scope="module")
def clips_of(task: Task, record: Dataset, root: Path) -> Corpus:
    return standin_corpus(root, record)


def test_the_record(task: Task, record: Dataset):
    assert registry.plugins("task")[task.id].load() is task
    assert task.label in record.labels


def test_splits(task: Task, record: Dataset, clips_of: Corpus):
    clips, numbers = clips_of.clips, labels(task, record, clips_of.clips, standin=True)
    found = folds(task, clips, 0)
    tested = np.concatenate([fold.test for fold in found])
    assert len(set(tested)) == len(tested)
    if task.fold_column:
        assert set(tested) == set(np.flatnonzero(numbers >= 0))
    for fold in found:
        parts = [set(clips[task.group].iloc[rows]) for rows in (fold.train, fold.valid, fold.test)]
        assert all(parts)
        assert not set.intersection(parts[0], parts[1] | parts[2])
        assert not parts[1] & parts[2]
        assert set(numbers[fold.test]) <= set(numbers[fold.train])
        assert set(numbers[fold.valid]) <= set(numbers[fold.train])
        assert 0.1 < len(fold.valid) / (len(fold.valid) + len(fold.train)) < 0.35


@pytest.mark.parametrize("name", IN_TREE)
def test_sizes(name: str, root: Path):
    task = registry.load("task", name)
    corpus = standin_corpus(root, registry.load("dataset", task.dataset))
    assert len(folds(task, corpus.clips, 0)) == FOLDS[name]
    assert len(classes(task, registry.load("dataset", task.dataset), corpus.clips, standin=True)) == CLASSES[name]


def test_the_urban_source_in_two_folds_is_left_out(root: Path):
    clips = standin_corpus(root, registry.load("dataset", "urbansound8k")).clips
    straddling = clips.groupby("group")["fold"].nunique().loc[lambda count: count > 1]
    assert len(straddling) == 1
    dropped = {fold.name: len(fold.dropped) for fold in folds(registry.load("task", "us8k"), clips, 0)}
    assert {name for name, count in dropped.items() if count} == set(
        clips.loc[clips["group"] == straddling.index[0], "fold"]
    )


def probe(
    task: Task, record: Dataset, corpus: Corpus, features: NDArray[np.float64], shuffle: int | None = None
) -> float:
    """Mean test accuracy of a logistic regression over the task's folds, at most three of them.

    ``shuffle`` is the seed of a permutation of the training labels.
    """
    numbers = labels(task, record, corpus.clips, standin=True)
    accuracies = []
    for fold in folds(task, corpus.clips, 0)[:3]:
        target = numbers[fold.train]
        if shuffle is not None:
            target = np.random.default_rng(shuffle).permutation(target)
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200)).fit(
            features[fold.train], target
        )
        accuracies.append(np.mean(model.predict(features[fold.test]) == numbers[fold.test]))
    return float(np.mean(accuracies))


def log_spectral_statistics(corpus: Corpus) -> NDArray[np.float64]:
    """Mean, deviation, maximum and mean absolute difference over time of 36 log-spaced bands, ``(n, 144)``."""
    edges = np.unique(np.geomspace(2, 256, 41).round().astype(int))
    rows = []
    for row in range(len(corpus)):
        clip = corpus.clip(row) / 32768
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(clip, (0, 512)), 512)[::256] * np.hanning(512)
        power = np.add.reduceat(np.abs(np.fft.rfft(frames)) ** 2, edges, axis=1)
        log = np.log(power + 1e-6)
        rows.append(np.concatenate([log.mean(0), log.std(0), log.max(0), np.abs(np.diff(log, axis=0)).mean(0)]))
    return np.array(rows)


@pytest.mark.parametrize("name", IN_TREE)
def test_a_standin_is_learnable_from_audio_and_only_from_audio(name: str, root: Path):
    task = registry.load("task", name)
    record = registry.load("dataset", task.dataset)
    corpus = standin_corpus(root, record)
    numbers = labels(task, record, corpus.clips, standin=True)
    majority = np.bincount(numbers[numbers >= 0]).max() / np.count_nonzero(numbers >= 0)
    tested = np.concatenate([fold.test for fold in folds(task, corpus.clips, 0)[:3]])
    at_chance = majority + 3.5 * np.sqrt(majority * (1 - majority) / len(tested))

    statistics = log_spectral_statistics(corpus)
    assert 2 * majority < probe(task, record, corpus, statistics) < 0.9
    assert np.mean([probe(task, record, corpus, statistics, shuffle=seed) for seed in range(4)]) < at_chance

    place, length = np.arange(len(corpus)), corpus.clips["samples"].to_numpy()
    source = corpus.clips["group"].str.extract(r"(\d+)", expand=False).fillna("0").astype(float).to_numpy()
    metadata = np.stack([place, length, source], axis=1).astype(float)
    assert (
        probe(task, record, corpus, np.concatenate([metadata, (metadata / metadata.max(0).clip(1)) ** 2], axis=1))
        < at_chance
    )
