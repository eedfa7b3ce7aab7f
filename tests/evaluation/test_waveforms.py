"""Waveforms in memory get the embeddings of the pipeline, whatever the encoder and the length."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark import registry
from benchmark.corpus.store import Corpus
from benchmark.evaluation.embedding import embed
from benchmark.evaluation.waveforms import HOP_SECONDS, SHORT, embed_clips, embed_slices, embed_timestamps
from benchmark.pretraining.export import build_encoder
from benchmark.seeding import isolated_torch_seed
from benchmark.signal.encoder import Encoder
from benchmark.signal.inference import for_inference
from tests.pretraining import toys

ENCODERS = [name for name in registry.plugins("encoder") if not name.startswith("hear_model")]
LENGTHS = (1, 700, 15_600, 23_000, 23_000, 50_000)


def small(name: str) -> Encoder:
    """The registry's encoder at a small width, its batch-norms away from their initial values."""
    with isolated_torch_seed(0, name):
        encoder = build_encoder(name, {"width": 0.0625})
        if encoder.window:
            encoder.train()(0.1 * torch.randn(4, encoder.window))
    return encoder.eval()


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Corpus]:
    """Clips of all kinds of lengths, one silent, at the rates of the registry's encoders."""
    found = {}
    for rate in {small(name).sample_rate for name in ENCODERS}:
        generator = np.random.default_rng(rate)
        audio = [(3000 * generator.standard_normal(n)).astype(np.int16) for n in LENGTHS]
        audio[3][:] = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(toys, "RATE", rate)
            folder = tmp_path_factory.mktemp("corpus") / "noise"
            found[rate] = toys.write_corpus(folder, "noise", toys.toy_clips(len(LENGTHS)), audio)
    return found


def waveform(corpus: Corpus, row: int) -> torch.Tensor:
    return torch.from_numpy(corpus.clip(row).astype(np.float32) / 32_768)[None]


@pytest.mark.parametrize("name", ENCODERS)
def test_embeddings_are_those_of_the_pipeline(name: str, corpora: dict[int, Corpus]):
    encoder = small(name)
    corpus = corpora[encoder.sample_rate]
    expected = embed(encoder, corpus, np.arange(len(corpus)), HOP_SECONDS, "cpu", SHORT)
    ready = for_inference(encoder)
    scale = max(1.0, float(np.abs(expected.clips).max()))
    with torch.inference_mode():
        for row in range(len(corpus)):
            slices, starts, seconds = embed_slices(ready, waveform(corpus, row))
            own = expected.slices[expected.clip_of_slice == row]
            np.testing.assert_allclose(slices[0].numpy(), own, rtol=0, atol=1e-6 * scale)
            assert (len(starts), seconds > 0) == (len(own), True)
            clip = embed_clips(ready, waveform(corpus, row))[0].numpy()
            np.testing.assert_allclose(clip, expected.clips[row], rtol=0, atol=1e-6 * scale)


def test_a_batch_is_embedded_clip_by_clip(corpora: dict[int, Corpus]):
    encoder = for_inference(small("tagliasacchi_cnn"))
    corpus = corpora[encoder.sample_rate]
    pair = torch.cat([waveform(corpus, 3), waveform(corpus, 4)])
    with torch.inference_mode():
        both = embed_clips(encoder, pair)
        for row in range(2):
            torch.testing.assert_close(
                both[row : row + 1], embed_clips(encoder, pair[row : row + 1]), rtol=0, atol=1e-6
            )


@pytest.mark.parametrize("name", ["tagliasacchi_cnn", "resnet18", "logmel_statistics"])
@pytest.mark.parametrize("samples", [1, 9000, 40_000])
def test_timestamps_are_the_centres_of_what_is_embedded(name: str, samples: int):
    encoder = for_inference(small(name))
    rate, window = encoder.sample_rate, encoder.window or encoder.sample_rate
    audio = 0.1 * torch.randn(2, samples)
    with torch.inference_mode():
        embeddings, timestamps = embed_timestamps(encoder, audio)
        assert embeddings.shape == (*timestamps.shape, encoder.embedding_size)
        expected = np.arange(0, samples + 1, rate // 25) / rate * 1000
        np.testing.assert_allclose(timestamps.numpy(), np.stack([expected, expected]), rtol=0, atol=1e-3)
        number = timestamps.shape[1] // 2
        heard = np.zeros(window, np.float32)  # by hand: what lies around the timestamp, silence beyond the clip
        centre = round(float(timestamps[1, number]) * rate / 1000)
        for place in range(window):
            sample = centre - window // 2 + place
            if 0 <= sample < samples:
                heard[place] = audio[1, sample]
        own = encoder(torch.from_numpy(heard)[None])[0]
    torch.testing.assert_close(embeddings[1, number], own, rtol=0, atol=1e-5)
