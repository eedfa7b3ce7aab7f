from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.errors import ConfigError
from benchmark.pretraining.export import build_encoder
from benchmark.seeding import isolated_torch_seed, torch_stream
from methods._decoder import Decoder
from methods._slices import slices
from tests.methods.test_tagliasacchi2020 import chirps, make


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_published_context_takes_488_frames() -> None:
    for name in ("audio2vec_cbow", "audio2vec_skipgram"):
        request = make(name, {"width": 0.0625}).crops()
        assert (request.views, request.samples, request.minimum) == (1, 487 * 160 + 400, 487 * 160 + 400)
    assert make("audio2vec_cbow", {"width": 0.0625}, context=1).crops().samples == 291 * 160 + 400


def test_slices_never_overlap_and_respect_the_gap() -> None:
    frames = torch.arange(488.0).expand(2, 3, -1)
    found = slices(frames, 96, 2)
    assert found.shape == (2, 5, 3, 96)
    assert found[0, :, 0, 0].tolist() == [0, 98, 196, 294, 392]
    assert found[0, :, 0, -1].tolist() == [95, 193, 291, 389, 487]


@torch.no_grad()
def test_a_slice_of_the_long_patch_is_the_patch_of_the_slice() -> None:
    method = make("audio2vec_cbow")
    waveform = chirps(method).waveforms[:2, 0]
    encoder = method.encoder
    found = slices(encoder.frontend(waveform), 16, 2)  # type: ignore[operator]
    alone = encoder.frontend(waveform[:, 18 * 160 : 18 * 160 + encoder.window])  # type: ignore[operator]
    torch.testing.assert_close(found[:, 1], alone)


def test_decoder_sizes() -> None:
    """methods_spec: 4.50 M weights; what begins it, 25.2 M from four embeddings, 6.3 M from one."""
    encoder = build_encoder("tagliasacchi_cnn", {})
    with torch.device("meta"):
        cbow, skipgram = Decoder(encoder, 512, 1, "expand"), Decoder(encoder, 128, 4, "expand")
        literal = Decoder(encoder, 512, 1, "broadcast")
    assert parameters(cbow.layers) == 9 * 499_776 + 2 * 1_216 + 1 == 4_500_417
    assert parameters(cbow.begin) == 513 * 49_152 == 25_214_976
    assert parameters(skipgram.begin) == 129 * 49_152 == 6_340_608
    assert parameters(skipgram.layers) == parameters(cbow.layers) + 3 * (9 * 64 + 1)
    assert parameters(literal.begin) == 513 * 512


@pytest.mark.parametrize("start", ["expand", "broadcast"])
@torch.no_grad()
def test_decoder_mirrors_the_patch(start: str) -> None:
    with isolated_torch_seed(0, "decoder"):
        encoder = build_encoder("tagliasacchi_cnn", {"width": 0.125, "frames": 96})
        decoder = Decoder(encoder, 10, 3, start)  # type: ignore[arg-type]
        decoded = decoder(torch.randn(2, 10))
    assert decoded.shape == (2, 3, 64, 96)
    assert decoded.dtype == torch.float32
    image = decoder.layers(torch.zeros(1, 64, 12, 8))
    assert image.shape == (1, 3, 96, 64)


@torch.no_grad()
def test_broadcast_places_differ_by_their_distance_from_the_edge_alone() -> None:
    """In the literal reading a place far from every edge sees the same as its neighbours."""
    with isolated_torch_seed(0, "decoder"):
        encoder = build_encoder("tagliasacchi_cnn", {"width": 0.0625, "frames": 320})
        decoder = Decoder(encoder, 4, 1, "broadcast").eval()
        middle = decoder(torch.randn(1, 4))[0, 0, :, 152:168]
    torch.testing.assert_close(middle[:, :8], middle[:, 8:])


def test_patches_that_cannot_be_halved_and_other_networks_are_refused() -> None:
    with pytest.raises(ConfigError, match="must divide by 8"):
        Decoder(build_encoder("tagliasacchi_cnn", {"width": 0.125, "frames": 100}), 4, 1, "expand")
    with pytest.raises(ConfigError, match="mirrors the encoder tagliasacchi_cnn"):
        Decoder(build_encoder("resnet18", {"width": 0.125}), 4, 1, "expand")


@torch.no_grad()
def test_cbow_reconstructs_the_middle_from_the_others() -> None:
    method = make("audio2vec_cbow").eval()
    batch = chirps(method)
    found = slices(method.encoder.standardise(method.encoder.frontend(batch.waveforms[:, 0])), 16, 2)  # type: ignore[operator]
    embeddings = [method.encoder.embed(found[:, place]) for place in (0, 1, 3, 4)]  # type: ignore[operator]
    error = method.decoder(torch.cat(embeddings, dim=1))[:, 0] - found[:, 2]  # type: ignore[operator]
    expected = np.square(error.double().numpy()).mean()
    assert method.step(batch, torch_stream(0)).loss.item() == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_skipgram_reconstructs_the_others_from_the_middle() -> None:
    method = make("audio2vec_skipgram").eval()
    batch = chirps(method)
    found = slices(method.encoder.standardise(method.encoder.frontend(batch.waveforms[:, 0])), 16, 2)  # type: ignore[operator]
    decoded = method.decoder(method.encoder.embed(found[:, 2]))  # type: ignore[operator]
    errors = [np.square((decoded[:, n] - found[:, m]).double().numpy()).mean() for n, m in enumerate((0, 1, 3, 4))]
    assert method.step(batch, torch_stream(0)).loss.item() == pytest.approx(np.mean(errors), rel=1e-5)
