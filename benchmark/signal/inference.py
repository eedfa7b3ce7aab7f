"""Encoders made ready for inference: what training needs and scoring does not is folded away."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.signal.encoder import Encoder


def folded(encoder: Encoder) -> Encoder:
    """A copy whose batch-norms that directly follow a convolution in a sequence are folded into its weights.

    The same function but for rounding (about 1e-6 relative), without a pass over memory a layer. The original stays as it is.

    Raises:
        ValueError: a module is in training mode, where batch-norm depends on the batch.
    """
    if any(module.training for module in encoder.modules()):
        raise ValueError("an encoder in training mode cannot be evaluated: its batch-norm statistics would move")
    copy = deepcopy(encoder)
    for sequence in [module for module in copy.modules() if isinstance(module, nn.Sequential)]:
        names = list(sequence._modules)
        for name, following in pairwise(names):
            convolution, norm = sequence._modules[name], sequence._modules[following]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and norm.track_running_stats:
                sequence._modules[name] = fuse_conv_bn_eval(convolution, norm)
                sequence._modules[following] = nn.Identity()
    return copy
