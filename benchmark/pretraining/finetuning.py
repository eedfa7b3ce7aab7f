"""A method with parts that stay as they are, and with a copy of its best weights: what fine-tuning trains in the one loop."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from benchmark.pretraining.method import Batch, CropRequest, Method, Step
from benchmark.signal.encoder import Encoder

VALIDATION, TEST = "validation", "test"
"""Names of the probes' scalars in the history."""


class FineTuned(Method):
    """``method``, but for its ``frozen`` modules, which learn nothing and stay in evaluation mode.

    Batch-norm of a frozen module neither moves nor uses statistics of the batch. (fonseca2021's released linear probe
    leaves it in training mode, so that its running statistics move; here frozen means frozen.)

    The best weights are part of the state, so that a checkpoint holds them and a resumed run knows them.

    Args:
        method: with a classifier.
        frozen: modules of its encoder.
        keep_best: keep a copy of encoder and classifier for :meth:`offer`.
    """

    def __init__(self, method: Method, frozen: list[nn.Module], keep_best: bool) -> None:
        nn.Module.__init__(self)  # the method has encoder and configuration; a second reference would be saved twice
        self.method = method
        self._frozen = tuple(frozen)  # a tuple, which PyTorch does not register
        for module in frozen:
            module.requires_grad_(False)
        self.best: nn.ModuleDict | None = None
        if keep_best:
            self.best = copy.deepcopy(self._scored()).requires_grad_(False)
            self.register_buffer("best_value", torch.tensor(-torch.inf, dtype=torch.float64))
            self.register_buffer("best_step", torch.tensor(0))
        self.train()

    best_value: Tensor
    best_step: Tensor

    @property
    def encoder(self) -> Encoder:  # type: ignore[override]
        """The method's encoder, as it stands."""
        return self.method.encoder

    def crops(self) -> CropRequest:
        """The method's."""
        return self.method.crops()

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """The method's."""
        return self.method.step(batch, generator)

    def after_step(self, step: int) -> None:
        """The method's."""
        self.method.after_step(step)

    def head(self) -> nn.Linear:
        """The method's classifier, as it stands."""
        head = self.method.head()
        assert head is not None
        return head

    def train(self, mode: bool = True) -> Self:
        """Training mode for what learns; the frozen modules and the copy of the best weights stay in evaluation mode."""
        super().train(mode)
        for module in (*self._frozen, *filter(None, [self.best])):
            module.eval()
        return self

    @torch.no_grad()
    def offer(self, step: int, value: float) -> None:
        """Copy the present weights if ``value`` is above all offered before; of equal ones the first stays (fonseca2021)."""
        assert self.best is not None
        if value > self.best_value.item():
            self.best.load_state_dict(self._scored().state_dict())
            self.best_value.fill_(value)
            self.best_step.fill_(step)

    def chosen(self) -> tuple[Encoder, nn.Linear]:
        """Encoder and classifier to be scored, in evaluation mode: the best offered, or those of the last step."""
        encoder, head = (self._scored() if self.best is None else self.best).eval().values()
        assert isinstance(encoder, Encoder)
        assert isinstance(head, nn.Linear)
        return encoder, head

    def _scored(self) -> nn.ModuleDict:
        return nn.ModuleDict({"encoder": self.encoder, "head": self.head()})


class Selection:
    """Probe that measures on validation clips and offers the weights: every so many steps and after the last.

    Args:
        measure: of encoder and classifier in evaluation mode; higher is better.
        every: steps from one measurement to the next.
    """

    def __init__(self, measure: Callable[[Encoder, nn.Linear], float], every: int) -> None:
        self.measure, self.every = measure, every

    def due(self, step: int, steps: int) -> bool:
        """Not before the first step: an untrained classifier is no candidate."""
        return step > 0 and (step % self.every == 0 or step == steps)

    def __call__(self, step: int, method: Method) -> dict[str, float]:
        """Measure, and offer the weights."""
        assert isinstance(method, FineTuned)
        value = self.measure(method.encoder, method.head())
        method.offer(step, value)
        return {VALIDATION: value}


class Watch:
    """Probe that scores the test clips every so many steps before the last: a curve for readers, by which nothing is chosen.

    Args:
        measure: of encoder and classifier in evaluation mode.
        every: steps from one measurement to the next.
    """

    def __init__(self, measure: Callable[[Encoder, nn.Linear], float], every: int) -> None:
        self.measure, self.every = measure, every

    def due(self, step: int, steps: int) -> bool:
        """Not before the first step, with an untrained classifier, nor after the last: those weights are scored anyway."""
        return 0 < step < steps and step % self.every == 0

    def __call__(self, step: int, method: Method) -> dict[str, float]:
        """Measure."""
        assert isinstance(method, FineTuned)
        return {TEST: self.measure(method.encoder, method.head())}
