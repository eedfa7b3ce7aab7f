"""Layer-wise fine-tuning: which parts of an encoder stay as they are, and how fast each of the others learns."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from benchmark.config import Protocol
from benchmark.errors import ConfigError
from benchmark.pretraining.schedule import RATE_FACTOR
from benchmark.signal.encoder import Encoder

Freeze = Literal["none", "all"] | int | tuple[str, ...]


def frozen_modules(encoder: Encoder, freeze: Freeze) -> list[nn.Module]:
    """The modules of ``encoder`` that stay as they are: none, all, its first so many blocks, or those so named.

    Raises:
        ConfigError: it has not so many blocks, or no module of that name.
    """
    if freeze in {"none", "all"}:
        return [encoder] if freeze == "all" else []
    kind, blocks = type(encoder).__name__, encoder.blocks()
    if isinstance(freeze, int):
        if freeze > len(blocks):
            raise ConfigError(
                f"freeze: {kind} has {len(blocks)} blocks, so that {freeze} cannot be frozen; name fewer."
            )
        return blocks[:freeze]
    named = dict(encoder.named_modules())
    if unknown := [name for name in freeze if not named.get(name)]:
        known = ", ".join(name for name, _ in encoder.named_children())
        raise ConfigError(f"freeze: {kind} has no module {unknown[0]!r}; name one of {known}, or one inside of them.")
    return [named[name] for name in freeze]


def parameter_groups(module: nn.Module, encoder: Encoder, protocol: Protocol) -> list[dict[str, Any]]:
    """PyTorch's parameter groups of what is trained, one a learning rate, in the order of ``module.parameters()``.

    The factor on the rate is 1 for everything outside the encoder, ``encoder_lr`` for the encoder's last block, and
    ``layer_decay`` times that of the block above for every other (Howard & Ruder 2018, section 3.2, of a constant factor).
    """
    blocks = encoder.blocks()
    factors = {id(parameter): _factor(protocol, blocks, 0) for parameter in encoder.parameters()}
    for depth, block in enumerate(blocks):
        factors |= {id(parameter): _factor(protocol, blocks, depth) for parameter in block.parameters()}
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in module.parameters():
        if parameter.requires_grad:
            groups.setdefault(factors.get(id(parameter), 1.0), []).append(parameter)
    return [{"params": parameters, RATE_FACTOR: factor} for factor, parameters in groups.items()]


def _factor(protocol: Protocol, blocks: list[nn.Module], depth: int) -> float:
    return protocol.encoder_lr * protocol.layer_decay ** (len(blocks) - 1 - depth)
