from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from benchmark.corpus.store import Corpus
from benchmark.evaluation import embedding
from benchmark.evaluation.embedding import Embeddings, embed, window_starts
from benchmark.signal.encoder import Encoder
from tests.pretraining.toys import RATE, ToyEncoder, toy_clips, write_corpus

HOP = 512 / RATE
LENGTHS = (700, 1024, 1300, 2600, 4000, 4000, 9000)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Noise clips of all lengths around a window of 1024 samples; the last but one is silent."""
    generator = np.random.default_rng(0)
    audio = [(3000 * generator.standard_normal(n)).astype(np.int16) for n in LENGTHS]
    audio[5][:] = generator.integers(-30, 31, len(audio[5]))
    return write_corpus(tmp_path_factory.mktemp("corpus") / "noise", "noise", toy_clips(len(LENGTHS)), audio)


@pytest.fixture
def encoder() -> ToyEncoder:
    torch.manual_seed(0)
    return ToyEncoder().eval()


class Loudness(Encoder):
    """Scope clip: root mean square and length of the valid samples."""

    scope: ClassVar[Literal["window", "clip"]] = "clip"
    sample_rate, window, embedding_size = RATE, 0, 2

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        assert lengths is not None
        return torch.stack([(waveform.square().sum(1) / lengths).sqrt(), lengths.float()], 1)


def all_rows(corpus: Corpus) -> np.ndarray:
    return np.arange(len(corpus))


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (300, [0]),  # shorter than a window
        (1000, [0]),
        (1249, [0]),  # less than half a hop unseen
        (1250, [0, 250]),  # half a hop unseen: one more crop, that ends with the clip
        (1500, [0, 500]),
        (2100, [0, 500, 1000]),
        (2300, [0, 500, 1000, 1300]),
    ],
)
def test_crops_are_fixed_and_cover_the_clip(samples: int, expected: list[int]) -> None:
    clip, starts = window_starts(np.array([samples]), 1000, 500)
    assert starts.tolist() == expected
    assert clip.tolist() == [0] * len(expected)


@pytest.mark.parametrize(("samples", "crops"), [(999, 1), (1000, 1), (1499, 1), (1500, 2), (1999, 2), (2300, 3)])
def test_a_remainder_can_be_dropped(samples: int, crops: int) -> None:
    _, starts = window_starts(np.array([samples]), 1000, 500, "drop")
    assert starts.tolist() == [500 * crop for crop in range(crops)]


def test_crops_of_several_clips_follow_one_another() -> None:
    clip, starts = window_starts(np.array([1500, 200, 2000]), 1000, 500)
    assert clip.tolist() == [0, 0, 1, 2, 2, 2]
    assert starts.tolist() == [0, 500, 0, 0, 500, 1000]


def test_slices_are_the_encoders_own_answers(corpus: Corpus, encoder: ToyEncoder) -> None:
    found = embed(encoder, corpus, all_rows(corpus), HOP)
    clip, starts = window_starts(np.array(LENGTHS), 1024, 512)
    assert found.clip_of_slice.tolist() == clip.tolist()
    for position in (3, 7, len(clip) - 1):
        crop = corpus.clip(int(clip[position]))[starts[position] : starts[position] + 1024]
        with torch.no_grad():
            alone = encoder(torch.from_numpy(crop.astype(np.float32))[None] / 32768)[0]
        np.testing.assert_allclose(found.slices[position], alone, rtol=1e-5, atol=1e-6)


def test_a_short_clip_is_tiled_or_padded(corpus: Corpus, encoder: ToyEncoder) -> None:
    wave = corpus.clip(0).astype(np.float32) / 32768
    for short, crop in (("tile", np.tile(wave, 2)[:1024]), ("pad", np.pad(wave, (0, 1024 - len(wave))))):
        found = embed(encoder, corpus, np.array([0]), HOP, short=short)  # type: ignore[arg-type]
        with torch.no_grad():
            np.testing.assert_allclose(found.slices[0], encoder(torch.from_numpy(crop)[None])[0], rtol=1e-5, atol=1e-6)


def test_a_clip_does_not_depend_on_its_company(corpus: Corpus, encoder: ToyEncoder) -> None:
    together = embed(encoder, corpus, all_rows(corpus), HOP)
    for row in (1, 3, 6):
        alone = embed(encoder, corpus, np.array([row]), HOP)
        np.testing.assert_allclose(alone.slices, together.slices[together.clip_of_slice == row], rtol=1e-5, atol=1e-6)


def test_batches_of_any_size_agree(corpus: Corpus, encoder: ToyEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = embed(encoder, corpus, all_rows(corpus), HOP)
    monkeypatch.setattr(embedding, "WINDOWS_A_BATCH", {"cpu": 3})
    np.testing.assert_allclose(
        embed(encoder, corpus, all_rows(corpus), HOP).slices, expected.slices, rtol=1e-5, atol=1e-6
    )


def test_clips_are_means_of_their_slices(corpus: Corpus, encoder: ToyEncoder) -> None:
    found = embed(encoder, corpus, all_rows(corpus), HOP)
    for row in all_rows(corpus):
        np.testing.assert_allclose(found.clips[row], found.slices[found.clip_of_slice == row].mean(0), atol=1e-6)


def test_silence_is_reported(corpus: Corpus, encoder: ToyEncoder) -> None:
    found = embed(encoder, corpus, all_rows(corpus), HOP)
    assert found.silent.tolist() == (found.clip_of_slice == 5).tolist()


def test_a_clip_encoder_sees_each_clip_once_and_its_length(corpus: Corpus) -> None:
    found = embed(Loudness().eval(), corpus, all_rows(corpus), HOP)
    assert found.clip_of_slice.tolist() == list(range(len(LENGTHS)))
    assert found.slices[:, 1].tolist() == list(LENGTHS)
    loudness = [np.sqrt(np.mean(np.square(corpus.clip(row) / 32768.0))) for row in range(len(LENGTHS))]
    np.testing.assert_allclose(found.slices[:, 0], loudness, rtol=1e-5)
    assert found.silent.nonzero()[0].tolist() == [5]


def test_frozen_probes_leave_the_encoder_as_it_was(corpus: Corpus, encoder: ToyEncoder) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    embed(encoder, corpus, all_rows(corpus), HOP)
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_an_encoder_in_training_mode_is_refused(corpus: Corpus, encoder: ToyEncoder) -> None:
    encoder.norm.train()
    with pytest.raises(ValueError, match="training mode"):
        embed(encoder, corpus, all_rows(corpus), HOP)


def test_another_sample_rate_is_refused(corpus: Corpus, encoder: ToyEncoder) -> None:
    encoder.sample_rate = 22_050
    with pytest.raises(ValueError, match="22050 Hz"):
        embed(encoder, corpus, all_rows(corpus), HOP)


def test_arrays_rebuild_the_embeddings(corpus: Corpus, encoder: ToyEncoder, tmp_path: Path) -> None:
    found = embed(encoder, corpus, all_rows(corpus), HOP)
    again = Embeddings(**found.arrays())
    np.testing.assert_array_equal(again.clips, found.clips)


def plain_crops(samples: list[int], window: int, hop: int) -> list[tuple[int, int]]:
    """The rule of :func:`window_starts`, one crop at a time."""
    found = []
    for clip, length in enumerate(samples):
        starts = [0]
        while starts[-1] + hop + window <= length:
            starts.append(starts[-1] + hop)
        if 2 * (length - starts[-1] - window) >= hop:
            starts.append(length - window)
        found += [(clip, start) for start in starts]
    return found


@given(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.integers(1, 80), st.integers(1, 60))
def test_crops_follow_the_plain_rule(samples: list[int], window: int, hop: int) -> None:
    clip, starts = window_starts(np.array(samples), window, hop)
    assert list(zip(clip.tolist(), starts.tolist(), strict=True)) == plain_crops(samples, window, hop)


@pytest.mark.parametrize(("peak", "silent"), [(32, True), (33, False)])
def test_a_peak_below_a_thousandth_of_full_scale_is_silent(peak: int, silent: bool) -> None:
    assert embedding._is_silent(np.array([[0, -peak, 3], [0, 0, -32768]], np.int16)).tolist() == [silent, False]
