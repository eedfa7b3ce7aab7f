from collections import Counter

import numpy as np
import pytest
import torch

from benchmark.corpus.store import Corpus
from benchmark.errors import DataError, ForbiddenClipError
from benchmark.pretraining.data import Source, TrainingData
from benchmark.pretraining.method import CropRequest
from tests.pretraining.toys import toy_corpus

REQUEST = CropRequest(2, 1000)


def everything(corpus: Corpus) -> Source:
    return Source(corpus, np.arange(len(corpus)))


def make(*sources: Source, batch_size: int = 8, **changes: object) -> TrainingData:
    settings = {"request": REQUEST, "seed": 0, "run": "r", **changes}
    return TrainingData(list(sources), batch_size=batch_size, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return toy_corpus(tmp_path_factory.mktemp("other") / "other-16000", n=9, samples=700, dataset="other")


def test_crops_are_stretches_of_their_clips(corpus: Corpus) -> None:
    data = make(everything(corpus))
    batch, (_, rows) = data.batch(5), data.clips(5)
    assert batch.waveforms.shape == (8, 2, 1000)
    assert batch.waveforms.dtype == torch.float32
    for crops, row in zip(batch.waveforms, rows, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(corpus.clip(int(row)), 1000)
        for crop in (crops * 32768).to(torch.int16).numpy():
            assert (windows == crop).all(axis=1).any()


def test_an_epoch_visits_every_clip_once_in_a_new_order(corpus: Corpus) -> None:
    data = make(everything(corpus), batch_size=6)
    epochs = [np.concatenate([data.clips(4 * epoch + step)[1] for step in range(4)]) for epoch in range(3)]
    assert data.steps_per_epoch == 4
    assert all(sorted(epoch) == list(range(24)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_epochs_do_not_replay_the_same_crops(corpus: Corpus) -> None:
    data = make(everything(corpus), batch_size=24)
    first, second = ({wave.numpy().tobytes() for wave in data.batch(step).waveforms.flatten(0, 1)} for step in (0, 1))
    assert not first & second


def test_views_of_a_clip_are_different_crops(corpus: Corpus) -> None:
    batch = make(everything(corpus)).batch(0)
    assert not torch.equal(batch.waveforms[:, 0], batch.waveforms[:, 1])


def test_a_step_can_be_read_in_any_order_and_by_the_prefetching_reader(corpus: Corpus) -> None:
    forward, backward = make(everything(corpus)), make(everything(corpus))
    late = [backward.batch(step).waveforms for step in (9, 4, 7)]
    read = [batch.waveforms for batch in forward.batches(0, 10)]
    assert len(read) == 10
    assert all(torch.equal(read[step], wave) for step, wave in zip((9, 4, 7), late, strict=True))


@pytest.mark.parametrize("change", [{"seed": 1}, {"run": "s"}])
def test_seed_and_run_change_what_is_read(corpus: Corpus, change: dict[str, object]) -> None:
    first, second = make(everything(corpus)).batch(0), make(everything(corpus), **change).batch(0)
    assert not torch.equal(first.waveforms, second.waveforms)


def test_each_batch_is_of_one_corpus_in_proportion_to_its_audio_and_evenly_spread(
    corpus: Corpus, other: Corpus
) -> None:
    data = make(everything(corpus), everything(other), batch_size=3)
    turns = [data.clips(step)[0] for step in range(data.steps_per_epoch)]
    crops = {index: turns.count(index) * 3 for index in (0, 1)}
    seconds = {index: source.clips["samples"].sum() for index, source in enumerate((corpus, other))}
    assert crops[0] / crops[1] == pytest.approx(seconds[0] / seconds[1], rel=0.05)
    where = [place for place, source in enumerate(turns) if source == 1]
    third = len(turns) / 3
    assert [place // third for place in where] == [0, 1, 2]


def test_every_pass_over_a_corpus_visits_its_clips_once_in_an_order_of_its_own(corpus: Corpus, other: Corpus) -> None:
    data = make(everything(corpus), everything(other), batch_size=3)
    steps = [step for step in range(data.steps_per_epoch) if data.clips(step)[0] == 0]
    passes = [steps[first : first + 8] for first in range(0, len(steps), 8)]
    orders = [tuple(np.concatenate([data.clips(step)[1] for step in part])) for part in passes]
    assert all(sorted(order) == list(range(24)) for order in orders)
    assert len(set(orders)) == len(orders)


def test_a_corpus_smaller_than_a_batch_gives_all_its_clips(corpus: Corpus, other: Corpus) -> None:
    data = make(everything(corpus), everything(other), batch_size=12)
    sizes = [data.batch_size(step) for step in range(data.steps_per_epoch)]
    assert Counter(sizes) == {12: 22, 9: 1}
    assert [len(batch.waveforms) for batch in data.batches(0, len(sizes))] == sizes


def test_a_batch_never_holds_a_clip_twice(corpus: Corpus) -> None:
    data = make(everything(corpus), batch_size=7)
    assert all(len(set(data.clips(step)[1])) == 7 for step in range(30))


@pytest.mark.parametrize(("short", "valid"), [("pad", 700), ("tile", 1000)])
def test_short_clips_are_counted_and_filled_as_asked(other: Corpus, short: str, valid: int) -> None:
    data = make(everything(other), batch_size=9, request=CropRequest(1, 1000, short))  # type: ignore[arg-type]
    batch, (_, rows) = data.batch(0), data.clips(0)
    assert data.short_clips() == 9
    place = int(np.flatnonzero(rows == 0)[0])
    assert int(batch.lengths[place]) == valid
    tail = (batch.waveforms[place, 0, 700:] * 32768).to(torch.int16).numpy()
    expected = np.zeros(300, np.int16) if short == "pad" else corpus_head(other)
    np.testing.assert_array_equal(tail, expected)


def corpus_head(corpus: Corpus) -> np.ndarray:
    return corpus.clip(0)[:300]


def test_max_clips_is_a_seeded_subset(corpus: Corpus, other: Corpus) -> None:
    subsets = [make(everything(corpus), everything(other), max_clips=11, seed=seed) for seed in (0, 0, 1)]
    rows = [[(s.corpus.dataset, *s.rows.tolist()) for s in data.sources] for data in subsets]
    assert rows[0] == rows[1] != rows[2]
    assert sum(len(source.rows) for source in subsets[0].sources) == 11
    assert all(set(source.rows) <= set(range(len(source.corpus))) for source in subsets[0].sources)


def test_labels_follow_their_clips(corpus: Corpus) -> None:
    labels = np.arange(len(corpus)) % 5
    data = make(Source(corpus, np.arange(len(corpus)), labels))
    batch = data.batch(2)
    assert batch.labels is not None
    np.testing.assert_array_equal(batch.labels.numpy(), data.clips(2)[1] % 5)


def test_a_forbidden_clip_raises(corpus: Corpus) -> None:
    allowed = np.arange(len(corpus)) < 20
    source = Source(corpus.restricted(allowed, "it is a test clip"), np.arange(len(corpus)))
    with pytest.raises(ForbiddenClipError, match="it is a test clip"):
        make(source, batch_size=24).batch(0)
    with pytest.raises(ForbiddenClipError):
        list(make(source, batch_size=24).batches(0, 1))


def test_no_clip_left_is_one_sentence(corpus: Corpus) -> None:
    with pytest.raises(DataError, match="no clip of toy may be trained on"):
        make(Source(corpus, np.arange(0)))


def test_calibration_is_the_same_for_every_run_on_the_same_data(corpus: Corpus, other: Corpus) -> None:
    sources = [everything(corpus), everything(other)]
    first = make(*sources).calibration(22, 512, batch_size=5)
    second = make(*sources, run="another", batch_size=3).calibration(22, 512, batch_size=5)
    assert [len(batch.waveforms) for batch in first] == [4, 4, 4, 4, 3, 3]
    assert all(torch.equal(a.waveforms, b.waveforms) for a, b in zip(first, second, strict=True))
    assert first[0].waveforms.shape[1:] == (1, 512)


def test_reading_leaves_global_generators_alone(corpus: Corpus) -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    list(make(everything(corpus)).batches(0, 3))
    assert torch.equal(before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state()[1]).all()  # noqa: NPY002


def test_only_the_allowed_rows_are_read(corpus: Corpus) -> None:
    data = make(Source(corpus, np.array([3, 4, 5])), batch_size=8)
    assert data.batch_sizes == [3]
    assert {int(row) for step in range(4) for row in data.clips(step)[1]} == {3, 4, 5}
