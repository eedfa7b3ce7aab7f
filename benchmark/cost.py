"""What a training step costs, measured on the network itself: operations and activations of one window."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.signal.encoder import Encoder


@torch.no_grad()
def window_cost(encoder: Encoder) -> tuple[int, int]:
    """Floating-point operations (two a multiply-add) of one window's forward pass, and values that its layers put out.

    Counted are matrix products and convolutions. Zero for encoders without a window, and for those
    without parameters: a model from outside is not loaded for this.
    """
    if not encoder.window or not any(True for _ in encoder.parameters()):
        return 0, 0
    values = 0

    def count(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal values
        values += output.numel() if isinstance(output, Tensor) else 0

    leaves = [module for module in encoder.modules() if not list(module.children())]
    handles = [leaf.register_forward_hook(count) for leaf in leaves]
    with FlopCounterMode(display=False) as counter:
        encoder.eval()(torch.zeros(1, encoder.window))
    for handle in handles:
        handle.remove()
    return counter.get_total_flops(), values
