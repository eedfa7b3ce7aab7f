import math
import os
import signal
from pathlib import Path

import pytest
import torch

from benchmark.corpus.store import Corpus
from benchmark.errors import TrainingDivergedError
from benchmark.pretraining.checkpoint import TrainingState
from benchmark.pretraining.loop import TrainingInterrupted, clip_gradients
from benchmark.pretraining.method import Batch, CropRequest, Method, Step
from tests.pretraining.test_checkpoint import bits, train
from tests.pretraining.toys import ToyMomentum, build, toy_training, trainer


class Attraction(Method):
    """Pulls everything together, which collapses; ``poison`` spoils one step."""

    poison: tuple[int, str] | None = None

    def crops(self) -> CropRequest:
        return CropRequest(1, self.encoder.window)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        h = self.encoder(batch.waveforms[:, 0])
        loss = torch.nn.functional.normalize(h, dim=1).var(dim=0).sum()
        self.seen = getattr(self, "seen", -1) + 1
        if self.poison and self.poison[0] == self.seen:
            infinite_slope = (h.sum() * 0).abs().sqrt()
            loss = loss + infinite_slope if self.poison[1] == "gradient" else loss * float(self.poison[1])
        return Step(loss, h)


def test_two_runs_give_the_same_bits(tmp_path: Path, corpus: Corpus) -> None:
    first, second = (train(tmp_path / name, corpus, toy_training(precision="bf16")) for name in "ab")
    assert bits(first) == bits(second)


def test_global_generators_are_as_before(tmp_path: Path, corpus: Corpus) -> None:
    before = torch.get_rng_state()
    train(tmp_path, corpus, toy_training())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_generator_does_not_matter(tmp_path: Path, corpus: Corpus) -> None:
    """Dropout draws from the step's stream, whatever ran before."""
    first = train(tmp_path / "a", corpus, toy_training())
    with torch.random.fork_rng():
        torch.manual_seed(99)
        second = train(tmp_path / "b", corpus, toy_training())
    assert bits(first) == bits(second)


def test_the_pretext_task_is_learned(tmp_path: Path, corpus: Corpus) -> None:
    state = train(tmp_path, corpus, toy_training(steps=150, lr=1e-2))
    losses = [entry["loss"] for entry in state.history]
    assert losses[-1] < 0.5 * losses[0]


def test_logs_hold_what_was_promised(tmp_path: Path, corpus: Corpus) -> None:
    state = train(tmp_path, corpus, toy_training(steps=5, schedule="cosine"))
    assert [entry["step"] for entry in state.history] == [2, 4, 5]
    expected = {"step", "loss", "lr", "gradient_norm", "positive", "embedding_spread", "embedding_rank"}
    assert set(state.history[0]) == expected
    assert state.history[1]["lr"] == pytest.approx(1e-3 * 0.5 * (1 + math.cos(math.pi * 3 / 5)))


@pytest.mark.parametrize(
    ("poison", "what"), [("nan", "loss is nan"), ("inf", "loss is inf"), ("gradient", "gradient norm is")]
)
def test_a_loss_or_gradient_that_is_not_finite_stops(tmp_path: Path, corpus: Corpus, poison: str, what: str) -> None:
    state = build(Attraction)
    state.method.poison = (4, poison)
    with pytest.raises(
        TrainingDivergedError, match=rf"toy: the {what}.* at step 4; try a learning rate below"
    ) as error:
        trainer(tmp_path, corpus, state, toy_training()).fit(state)
    assert str(error.value).count("\n") == 0
    restored = build(Attraction)
    trainer(tmp_path, corpus, restored, toy_training())
    assert restored.step == 3
    assert all(bool(parameter.isfinite().all()) for parameter in restored.method.parameters())


def test_collapse_is_named(tmp_path: Path, corpus: Corpus) -> None:
    training = toy_training(lr=0.03, steps=400)
    state = build(Attraction, training)
    with pytest.raises(TrainingDivergedError, match=r"collapsed by step .*all embeddings are the same"):
        trainer(tmp_path, corpus, state, training).fit(state)


def test_probes_and_snapshots_run_when_due_and_leave_training_mode(tmp_path: Path, corpus: Corpus) -> None:
    calls: list[tuple[int, bool, bool]] = []
    taken: list[int] = []

    class Thirds:
        def due(self, step: int, steps: int) -> bool:
            return step % 4 == 0

        def __call__(self, step: int, method: Method) -> dict[str, float]:
            calls.append((step, method.training, torch.is_grad_enabled()))
            torch.rand(3)
            return {"probe": step / 10}

    training = toy_training(snapshots=(0, 5, 12))
    state = build(training=training)
    trainer(tmp_path, corpus, state, training, probes=[Thirds()], snapshot=lambda step, _: taken.append(step)).fit(
        state
    )
    assert calls == [(step, False, False) for step in (0, 4, 8, 12)]
    assert taken == [0, 5, 12]
    assert state.method.training
    assert {entry["step"]: entry["probe"] for entry in state.history if "probe" in entry} == {
        0: 0,
        4: 0.4,
        8: 0.8,
        12: 1.2,
    }
    plain = train(tmp_path / "plain", corpus, toy_training())
    assert bits(plain)["method"] == bits(state)["method"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(tmp_path: Path, corpus: Corpus, number: signal.Signals) -> None:
    training = toy_training()
    state = build(training=training)
    original = state.method.after_step

    def interrupted(step: int) -> None:
        original(step)
        if step == 6:
            os.kill(os.getpid(), number)

    state.method.after_step = interrupted  # type: ignore[method-assign]
    usual = signal.getsignal(number)
    with pytest.raises(
        TrainingInterrupted, match=rf"stopped by {number.name} after step 7 of 12; a checkpoint is saved"
    ):
        trainer(tmp_path, corpus, state, training).fit(state)
    assert signal.getsignal(number) is usual
    resumed = train(tmp_path, corpus, training)
    assert bits(resumed) == bits(train(tmp_path / "whole", corpus, training))


def test_throughput_counts_this_process_only(tmp_path: Path, corpus: Corpus) -> None:
    state = build(training=toy_training(steps=6))
    trainer(tmp_path, corpus, state, toy_training(steps=6)).fit(state)
    resumed = build(training=toy_training(steps=6))
    run = trainer(tmp_path, corpus, resumed, toy_training(steps=6))
    assert resumed.step == 3
    run.fit(resumed)
    assert (run.throughput.steps, run.throughput.clips) == (3, 24)
    assert run.throughput.seconds > 0


@pytest.mark.parametrize("clip", [None, 0.5])
def test_gradients_are_clipped_together_and_their_norm_returned(clip: float | None) -> None:
    state: TrainingState = build(ToyMomentum)
    parameters = [p for p in state.method.parameters() if p.requires_grad]
    for number, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, number + 1.0)
    flat = torch.cat([p.grad.double().flatten() for p in parameters if p.grad is not None])
    norm = clip_gradients(state.optimizer, clip)
    after = torch.cat([p.grad.double().flatten() for p in parameters if p.grad is not None])
    assert float(norm) == pytest.approx(float(flat.norm()), rel=1e-5)
    torch.testing.assert_close(after, flat if clip is None else flat * clip / flat.norm(), rtol=1e-5, atol=0)
