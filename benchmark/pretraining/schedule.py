"""Learning rates as pure functions of the step, and the optimiser that they drive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from benchmark.config import Training


def learning_rate(training: Training, step: int, steps: int) -> float:
    """Learning rate of step ``step`` (from 0) in a run of ``steps`` steps.

    Warm-up rises linearly to ``training.lr``, reached at step ``warmup_steps``; the schedule runs over the rest:

    - ``constant``: ``lr``;
    - ``cosine``: ``lr (1 + cos(pi t)) / 2``, where t is the fraction of the steps after warm-up that has passed
      (SGDR, Loshchilov & Hutter 2017, equation 5, one period);
    - ``multistep``: ``lr gamma^m`` with m the number of ``milestones``, fractions of the whole run, that have passed.
    """
    if step < training.warmup_steps:
        return training.lr * (step + 1) / (training.warmup_steps + 1)
    if training.schedule == "cosine":
        passed = (step - training.warmup_steps) / max(1, steps - training.warmup_steps)
        return training.lr * 0.5 * (1.0 + math.cos(math.pi * min(1.0, passed)))
    if training.schedule == "multistep":
        return training.lr * training.gamma ** sum(step >= round(fraction * steps) for fraction in training.milestones)
    return training.lr


RATE_FACTOR = "rate_factor"
"""Key of a parameter group's factor on the learning rate of the step; 1 where a group has none."""


def build_optimizer(
    training: Training, module: nn.Module, groups: Sequence[dict[str, Any]] | None = None
) -> torch.optim.Optimizer:
    """The optimiser that ``training`` names, over the parameters of ``module`` that require a gradient.

    Fused kernels are elementwise and therefore deterministic; betas and epsilon are PyTorch's defaults.

    Args:
        training: names the optimiser.
        module: what is trained.
        groups: its parameters in PyTorch's groups, each with its ``RATE_FACTOR``; None puts all in one.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    trained: Any = parameters if groups is None else groups
    lr, decay = training.lr, training.weight_decay
    if training.optimizer == "sgd":
        return torch.optim.SGD(trained, lr=lr, momentum=training.momentum, weight_decay=decay, fused=True)
    if training.optimizer == "adam":
        return torch.optim.Adam(trained, lr=lr, weight_decay=decay, fused=True)
    return torch.optim.AdamW(trained, lr=lr, weight_decay=decay, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Use ``lr``, times the group's own factor, from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get(RATE_FACTOR, 1.0)
