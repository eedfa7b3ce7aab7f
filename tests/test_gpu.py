"""On a CUDA device: the same numbers as on the CPU, within rounding, and the same bits twice."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark import registry
from benchmark.config import Machine, Precision, Training
from benchmark.corpus.store import Corpus
from benchmark.evaluation import converged, heads
from benchmark.evaluation.embedding import embed
from benchmark.evaluation.intra_knn import vote
from benchmark.evaluation.linear import TrainingSet
from benchmark.pretraining.checkpoint import TrainingState
from benchmark.pretraining.device import deterministic_torch, with_gradients
from benchmark.pretraining.export import build_encoder
from benchmark.pretraining.method import Batch, Method
from benchmark.pretraining.schedule import build_optimizer
from benchmark.seeding import isolated_torch_seed, torch_stream
from benchmark.signal.encoder import Encoder
from tests.pretraining.toys import toy_corpus, trainer

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]

GPU = Machine(device="cuda")
ENCODERS = ["crnn", "resnet18", "tagliasacchi_cnn", "vgg_like"]
LEARNT = [
    ("arrow_of_time", "tagliasacchi_cnn"),
    ("audio2vec_cbow", "tagliasacchi_cnn"),
    ("audio2vec_skipgram", "tagliasacchi_cnn"),
    ("autoencoder", "tagliasacchi_cnn"),
    *[("simclr", encoder) for encoder in ENCODERS],
    *[("supervised", encoder) for encoder in ENCODERS],
    ("temporal_gap", "tagliasacchi_cnn"),
    ("triplet_loss", "tagliasacchi_cnn"),
]
CLASSES = 5


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return toy_corpus(tmp_path_factory.mktemp("gpu") / "toy", n=8, samples=24_000)


def narrow(encoder: str) -> Encoder:
    with isolated_torch_seed(0, "gpu"):
        return build_encoder(encoder, {"width": 0.25})


def problem() -> tuple[torch.Tensor, list[TrainingSet]]:
    """Features that tell classes apart in part, and two training sets."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % CLASSES
    raw = rng.normal(size=(300, 24)) + rng.normal(size=(CLASSES, 24))[labels]
    sets = [np.flatnonzero(np.arange(300) // CLASSES % 3 != fold) for fold in (0, 1)]
    return torch.from_numpy(raw.astype(np.float32)), [TrainingSet(rows, labels[rows]) for rows in sets]


def test_every_method_that_learns_is_tried_here():
    """A new one joins the list above."""
    methods = {name for name in registry.plugins("method") if registry.load("method", name).default_training.steps != 0}
    assert methods == {name for name, _ in LEARNT}


@pytest.mark.parametrize("name", ENCODERS)
def test_embeddings_of_an_encoder_equal_those_of_the_cpu(name: str):
    encoder = narrow(name).eval()
    waveforms = 0.1 * torch.randn(8, encoder.window, generator=torch_stream(0, "audio"))
    with torch.inference_mode():
        expected = encoder(waveforms)
        with deterministic_torch(GPU) as device:
            found = encoder.to(device)(waveforms.to(device)).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_embeddings_of_clips_equal_those_of_the_cpu(corpus: Corpus):
    encoder, rows = narrow("tagliasacchi_cnn").eval(), np.arange(len(corpus))
    expected = embed(encoder, corpus, rows, 0.4875)
    with deterministic_torch(GPU) as device:
        found = embed(encoder.to(device), corpus, rows, 0.4875, device)
    np.testing.assert_allclose(
        found.slices, expected.slices, rtol=1e-4, atol=1e-4 * float(np.abs(expected.slices).max())
    )


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize(("name", "encoder"), LEARNT)
def test_two_training_steps_give_the_same_bits(name: str, encoder: str, precision: Precision):
    method_class = registry.load("method", name)

    def trained(device: torch.device) -> torch.Tensor:
        with isolated_torch_seed(0, "method"):
            method: Method = method_class(method_class.Config(), narrow(encoder), CLASSES).to(device).train()
        optimizer = build_optimizer(Training(steps=2, lr=1e-3), method)
        request = method.crops()
        for step in range(2):
            waveforms = 0.1 * torch.randn(16, request.views, request.samples, generator=torch_stream(0, "audio", step))
            labels = (torch.arange(16) % CLASSES).to(device) if method.needs_labels else None
            positions = torch.rand(16, request.views, generator=torch_stream(0, "positions", step)).to(device)
            batch = Batch(waveforms.to(device), torch.full((16,), request.samples, device=device), labels, positions)
            torch.manual_seed(step)  # of dropout and its like, as the loop does
            optimizer.zero_grad()
            views = torch_stream(0, "views", step, device=device)
            with_gradients(partial(method.step, batch, views), precision, device)
            optimizer.step()
        return torch.cat([parameter.detach().flatten() for parameter in method.parameters()])

    with deterministic_torch(GPU) as device:
        first, second = trained(device), trained(device)
    assert bool(first.isfinite().all())
    assert torch.equal(first, second)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_a_killed_run_goes_on_to_the_same_bits(corpus: Corpus, precision: Precision, tmp_path: Path):
    training = Training(steps=6, lr=1e-3, batch_size=8, precision=precision, checkpoint_every=2, log_every=1)

    def trained(folder: Path, device: torch.device, killed_after: int | None = None) -> dict[str, torch.Tensor]:
        method_class = registry.load("method", "simclr")
        with isolated_torch_seed(0, "method"):
            method: Method = method_class(method_class.Config(), narrow("tagliasacchi_cnn")).to(device)
        state = TrainingState(method, build_optimizer(training, method), [])

        def killed(step: int) -> None:
            if step == killed_after:
                raise RuntimeError("killed")

        method.after_step = killed  # type: ignore[method-assign]
        trainer(folder, corpus, state, training).fit(state)
        return method.state_dict()

    with deterministic_torch(GPU) as device:
        whole = trained(tmp_path / "whole", device)
        with pytest.raises(RuntimeError, match="killed"):
            trained(tmp_path / "killed", device, killed_after=4)
        resumed = trained(tmp_path / "killed", device)
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_converged_heads_equal_those_of_the_cpu():
    features, sets = problem()
    strengths = np.tile(np.array([0.01, 1.0]), (2, 1))
    expected = converged.fit(features, sets, strengths, CLASSES, tolerance=1e-6).classifiers
    with deterministic_torch(GPU) as device:
        found = converged.fit(features.to(device), sets, strengths, CLASSES, tolerance=1e-6).classifiers
    for index in range(4):
        theirs, ours = expected.probabilities(index, features), found.probabilities(index, features.to(device))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


def test_heads_trained_by_adam_equal_those_of_the_cpu():
    features, sets = problem()
    recipe = {"lr": 0.01, "steps": 40, "batch_size": 16, "standardise": True}
    expected = heads.logits(heads.fit_heads(features, sets, [0, 1], CLASSES, **recipe), features)
    with deterministic_torch(GPU) as device:
        moved = features.to(device)
        found = heads.logits(heads.fit_heads(moved, sets, [0, 1], CLASSES, **recipe), moved)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-3)


def test_votes_among_slices_equal_those_of_the_cpu():
    features, _ = problem()
    rows = torch.nn.functional.normalize(features, dim=1)
    clip = np.repeat(np.arange(60), 5)
    labels = np.arange(60) % CLASSES
    expected = vote(rows, labels, clip, 11, CLASSES)
    with deterministic_torch(GPU) as device:
        found = vote(rows.to(device), labels, clip, 11, CLASSES)
    assert (found == expected).mean() >= 59 / 60  # a tie broken by the last bit of a similarity
