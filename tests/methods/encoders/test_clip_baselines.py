"""The baselines without weights, on whole clips of different lengths."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch

from benchmark import Encoder, registry

NAMES = ["constant", "duration", "logmel_statistics", "mfcc_statistics"]
LENGTHS = [1, 300, 400, 5_001, 16_000]


def make(name: str) -> Encoder:
    encoder_class = registry.load("encoder", name)
    encoder: Encoder = encoder_class(encoder_class.Config())
    return encoder


def padded(lengths: list[int], size: int) -> torch.Tensor:
    batch = torch.zeros(len(lengths), size)
    for row, length in enumerate(lengths):
        batch[row, :length] = 0.1 * torch.randn(length, generator=torch.Generator().manual_seed(length))
    return batch


@pytest.mark.parametrize("name", NAMES)
def test_padding_and_batch_composition_do_not_matter(name: str) -> None:
    encoder = make(name)
    assert encoder.scope == "clip"
    together = encoder(padded(LENGTHS, 20_000), torch.tensor(LENGTHS))
    assert together.shape == (len(LENGTHS), encoder.embedding_size)
    assert together.dtype == torch.float32
    assert torch.isfinite(together).all()
    for row, length in enumerate(LENGTHS):
        alone = encoder(padded([length], length), torch.tensor([length]))
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_without_lengths_every_sample_is_valid(name: str) -> None:
    encoder, batch = make(name), padded([8_000], 8_000)
    torch.testing.assert_close(encoder(batch), encoder(batch, torch.tensor([8_000])))


def test_logmel_statistics_are_numpys() -> None:
    encoder = make("logmel_statistics")
    batch = padded([9_000], 12_000)
    log_mel = encoder.frontend(batch[:, :9_000])[0].double().numpy()
    steps = np.abs(np.diff(log_mel, axis=1)).mean(axis=1)
    expected = np.concatenate([log_mel.mean(axis=1), log_mel.std(axis=1), log_mel.max(axis=1), steps])
    np.testing.assert_allclose(encoder(batch, torch.tensor([9_000]))[0].numpy(), expected, rtol=1e-4, atol=1e-4)


def test_mfcc_statistics_are_scipys() -> None:
    encoder = make("mfcc_statistics")
    assert encoder.embedding_size == 26
    batch = padded([9_000], 12_000)
    log_mel = encoder.frontend(batch[:, :9_000])[0].double().numpy()
    mfcc = scipy.fft.dct(log_mel, type=2, axis=0, norm="ortho")[:13]
    expected = np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)])
    np.testing.assert_allclose(encoder(batch, torch.tensor([9_000]))[0].numpy(), expected, rtol=1e-3, atol=1e-3)


def test_duration_is_in_seconds_and_constant_is_constant() -> None:
    batch, lengths = padded([8_000, 24_000], 24_000), torch.tensor([8_000, 24_000])
    assert make("duration")(batch, lengths).tolist() == [[0.5], [1.5]]
    assert make("constant")(batch, lengths).tolist() == [[1.0], [1.0]]


def test_silence_and_one_sample_give_finite_numbers() -> None:
    for name in NAMES:
        assert torch.isfinite(make(name)(torch.zeros(2, 1), torch.tensor([1, 1]))).all()
