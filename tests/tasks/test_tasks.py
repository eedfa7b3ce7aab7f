"""Labels of stand-ins are told by the audio, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmark import registry
from benchmark.corpus.splits import folds, labels
from benchmark.corpus.store import Corpus
from benchmark.records import Dataset, Task
from tests.tasks.conftest import standin_corpus

SINGLE = sorted(name for name in registry.plugins("task") if registry.load("task", name).kind == "single")
MULTI = sorted(name for name in registry.plugins("task") if registry.load("task", name).kind == "multi")


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


def metadata(corpus: Corpus) -> NDArray[np.float64]:
    """What a table alone could tell: place, length and the number of the source, and their squares, ``(n, 6)``."""
    source = corpus.clips["group"].str.extract(r"(\d+)", expand=False).fillna("0").astype(float).to_numpy()
    features = np.stack([np.arange(len(corpus)), corpus.clips["samples"].to_numpy(), source], axis=1).astype(float)
    return np.concatenate([features, (features / features.max(0).clip(1)) ** 2], axis=1)


@pytest.mark.parametrize("name", SINGLE)
def test_a_standin_is_learnable_from_audio_and_only_from_audio(name: str, root: Path):
    task = registry.load("task", name)
    record = registry.load("dataset", task.dataset)
    corpus = standin_corpus(root, record)
    numbers = labels(task, record, corpus.clips, standin=True)
    majority = np.bincount(numbers[numbers >= 0]).max() / np.count_nonzero(numbers >= 0)
    tested = np.concatenate([fold.test for fold in folds(task, corpus.clips, 0)[:3]])
    at_chance = majority + 3.5 * np.sqrt(majority * (1 - majority) / len(tested))

    statistics = log_spectral_statistics(corpus)
    assert max(2 * majority, at_chance) < probe(task, record, corpus, statistics) < 0.9
    assert np.mean([probe(task, record, corpus, statistics, shuffle=seed) for seed in range(4)]) < at_chance
    assert probe(task, record, corpus, metadata(corpus)) < at_chance


def test_birds_are_told_by_their_sound_only(root: Path):
    task = registry.load("task", "bird_detection")
    record = registry.load("dataset", task.dataset)
    corpus = standin_corpus(root, record)
    at_chance = 0.5 + 3.5 * np.sqrt(0.25 / len(corpus))
    assert at_chance < probe(task, record, corpus, log_spectral_statistics(corpus)) < 0.9
    assert probe(task, record, corpus, metadata(corpus)) < at_chance


def multi_probe(task: Task, corpus: Corpus, features: NDArray[np.float64]) -> float:
    """Area under the ROC curve on the test part, the mean over the classes that the stand-in has."""
    clips = corpus.clips
    own = clips[task.only].to_numpy() if task.only else np.ones(len(clips), bool)
    train, test = (own & (clips[task.split_column] == part).to_numpy() for part in ("train", "test"))
    marks = clips[task.label].str.get_dummies("|").to_numpy()
    areas = []
    for mark in marks.T[marks[test].any(axis=0)]:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200)).fit(
            features[train], mark[train]
        )
        areas.append(roc_auc_score(mark[test], model.decision_function(features[test])))
    return float(np.mean(areas))


@pytest.mark.parametrize("name", MULTI)
def test_a_tagged_standin_is_learnable_from_audio_and_only_from_audio(name: str, root: Path):
    task = registry.load("task", name)
    corpus = standin_corpus(root, registry.load("dataset", task.dataset))
    assert 0.7 < multi_probe(task, corpus, log_spectral_statistics(corpus)) < 0.97
    assert multi_probe(task, corpus, metadata(corpus)) < 0.65
