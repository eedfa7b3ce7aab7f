"""Population statistics for the batch-norm layers of an encoder, trained or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchmark.signal.encoder import Encoder, LogMelEncoder

Network = Callable[[Tensor], Tensor]


class _LayerReached(Exception):
    """Ends a forward pass at the layer whose input was wanted."""


@torch.no_grad()
def calibrate_batchnorm(encoder: Encoder, waveforms: Iterable[Tensor]) -> None:
    """Set every batch-norm layer's statistics to those of all ``waveforms`` together; leaves the encoder in eval mode.

    Layer by layer in the order of execution, each seen through the calibrated layers before it. So an embedding in
    eval mode equals that of one training-mode pass over all waveforms as a single batch, however they are divided into
    batches; running averages over small batches only come near that. (tagliasacchi2020 says nothing of batch-norm in
    its Untrained reference; with the initial statistics 0 and 1 its features would be badly scaled.)

    Args:
        encoder: an encoder; left as it is, but for eval mode, where it has no batch-norm.
        waveforms: batches ``(B, T)`` on the encoder's device; B may vary.
    """
    encoder.eval()
    network, batches = _behind_the_front_end(encoder, waveforms)
    layers = [m for m in encoder.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for layer in _in_order(layers, network, batches[0][:1]) if batches else []:
        mean, variance = _input_statistics(network, layer, batches)
        layer.get_buffer("running_mean").copy_(mean)
        layer.get_buffer("running_var").copy_(variance)


def _behind_the_front_end(encoder: Encoder, waveforms: Iterable[Tensor]) -> tuple[Network, list[Tensor]]:
    """What follows the log-mel front-end, and its inputs: log-mels are the same for every layer, so they are taken once."""
    if isinstance(encoder, LogMelEncoder):
        return encoder.embed, [encoder.standardise(encoder.frontend(batch)) for batch in waveforms]
    return encoder, list(waveforms)


def _in_order(layers: list[_BatchNorm], network: Network, batch: Tensor) -> list[_BatchNorm]:
    """The layers in the order in which a forward pass meets them."""
    met: list[_BatchNorm] = []
    hooks = [layer.register_forward_pre_hook(lambda module, _: met.append(module)) for layer in layers]
    try:
        network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return met


def _input_statistics(network: Network, layer: _BatchNorm, batches: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of each channel of a layer's input over all batches, in float64."""
    count = 0
    mean = torch.zeros(layer.num_features, dtype=torch.float64, device=batches[0].device)
    squares = torch.zeros_like(mean)

    def accumulate(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal count
        values = inputs[0].transpose(0, 1).flatten(1).double()
        shift = values.mean(dim=1) - mean
        total = count + values.shape[1]
        # Chan et al.: merging two parts' means and sums of squared deviations without cancellation
        squares.add_((values - values.mean(dim=1, keepdim=True)).square().sum(dim=1))
        squares.add_(shift.square(), alpha=count * values.shape[1] / total)
        mean.add_(shift, alpha=values.shape[1] / total)
        count = total
        raise _LayerReached

    hook = layer.register_forward_pre_hook(accumulate)
    try:
        for batch in batches:
            try:
                network(batch)
            except _LayerReached:
                continue
    finally:
        hook.remove()
    return mean, squares / count
