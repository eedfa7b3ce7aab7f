"""A training step on several ranks: averaged gradients, and batch-norm over the batch of all ranks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from benchmark.distributed import gather, world_size
from benchmark.pretraining.method import Batch, Method, Step

StepFunction = Callable[[Batch, torch.Generator], Step]


def parallel_step(method: Method) -> StepFunction:
    """``method.step``, whose gradients are averaged over ranks while the backward pass still runs.

    On several ranks the method's batch-norms have been replaced (:func:`synchronise_batchnorm`), so buffers need no
    exchange. A parameter without a gradient on any rank keeps none.
    """
    if world_size() == 1:
        return method.step
    forward = _Forward(method)
    # Looking for unused parameters also keeps DDP's buckets as they are: it would otherwise lay them out anew after the first
    # step, also after a resumption, and with them the order in which ranks are added.
    parallel = DistributedDataParallel(forward, broadcast_buffers=False, find_unused_parameters=True)

    def step(batch: Batch, generator: torch.Generator) -> Step:
        loss = parallel(batch, generator)
        return Step(loss, forward.outcome.embeddings, forward.outcome.logs)

    return step


class _Forward(nn.Module):
    """A step as a forward pass to the loss alone: no gradient flows from what is only watched."""

    outcome: Step

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: Batch, generator: torch.Generator) -> Tensor:
        self.outcome = self.method.step(batch, generator)
        return self.outcome.loss


def synchronise_batchnorm(module: nn.Module) -> None:
    """On several ranks, replace every batch-norm below ``module`` by one with the statistics of all ranks' batches."""
    if world_size() == 1:
        return
    replaced: dict[nn.Module, nn.Module] = {}
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                setattr(parent, name, replaced.setdefault(child, SynchronisedBatchNorm(child)))


class SynchronisedBatchNorm(_BatchNorm):
    """Batch-norm of any number of dimensions whose training statistics are those of the batch of all ranks.

    torch's own runs on CUDA alone. The means and variances of the ranks are gathered and merged (Chan et al. 1983), so
    one exchange a pass suffices and nothing cancels; gradients flow through the statistics of every rank.

    Args:
        like: whose settings, parameters and buffers it takes over, not copies.
    """

    def __init__(self, like: _BatchNorm) -> None:
        super().__init__(like.num_features, like.eps, like.momentum, like.affine, like.track_running_stats)
        self._parameters, self._buffers = like._parameters, like._buffers
        self.training = like.training

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"batch-norm expects (N, C, ...), got {input.ndim} dimensions")

    def forward(self, input: Tensor) -> Tensor:
        """``(N, C, ...)`` normalised by channel; in evaluation mode as ever."""
        if world_size() == 1 or not (self.training or self.running_mean is None):
            return super().forward(input)
        self._check_input_dim(input)
        mean, variance, count = self._statistics(input)
        if self.training and self.running_mean is not None:
            self._track(mean.detach(), variance.detach() * count / (count - 1))
        shape = (1, -1, *[1] * (input.ndim - 2))
        scale = (variance + self.eps).rsqrt()
        shift = -mean * scale
        if self.affine:
            scale, shift = scale * self.weight, shift * self.weight + self.bias
        return (input * scale.view(shape) + shift.view(shape)).to(input.dtype)

    def _statistics(self, input: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and biased variance of every channel over all ranks, in float32 at least, and the number of values."""
        values = input.transpose(0, 1).flatten(1)
        values = values if values.dtype == torch.float64 else values.float()
        variance, mean = torch.var_mean(values, dim=1, correction=0)
        counts = torch.full_like(mean, values.shape[1])
        means, variances, numbers = gather(torch.stack([mean, variance, counts])[None]).unbind(1)
        count = numbers.sum(dim=0)
        overall = (means * numbers).sum(dim=0) / count
        spread = variances + (means - overall).square()
        return overall, (spread * numbers).sum(dim=0) / count, count[0]

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        weight = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_(variance.to(self.running_var.dtype), weight)
