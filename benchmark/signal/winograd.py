"""Winograd's minimal filtering F(4 x 4, 3 x 3): 3 x 3 convolutions with a quarter of the multiplications.

Lavin and Gray 2016, "Fast algorithms for convolutional neural networks" (arXiv:1509.09308), section 4: with the points 0, 1, -1,
2, -2 and infinity, four by four outputs are ``A' [(G w G') * (B' x B)] A``, where ``*`` multiplies the 6 x 6 values one by one.
Summed over channels, these products are 36 matrix products.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

OUTPUTS, PATCH = 4, 6
"""Width of a square of outputs, and of the pixels that they see."""

_INPUT = (  # B'
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
_WEIGHT = (  # G
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
_OUTPUT = (  # A'
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)


def pays(convolution: nn.Conv2d) -> bool:
    """Whether it applies, and is faster than the direct convolution of a CPU: measured for embedding (docs/performance.md)."""
    return (
        (convolution.kernel_size, convolution.stride, convolution.dilation) == ((3, 3), (1, 1), (1, 1))
        and convolution.padding in ((1, 1), "same")
        and (convolution.groups, convolution.padding_mode) == (1, "zeros")
        and convolution.in_channels >= 128
        and convolution.out_channels >= 256
    )


class WinogradConv2d(nn.Module):
    """A convolution that :func:`pays`, for inference: the same function but for rounding (2e-6 relative in float32).

    On other devices than the CPU it is the convolution itself, for which their libraries choose algorithms of their own.
    """

    transformed: Tensor
    input_matrix: Tensor
    output_matrix: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.direct = convolution
        weight = convolution.weight.detach()
        g = torch.tensor(_WEIGHT, dtype=torch.float64)
        transformed = torch.einsum("ui,kcij,vj->uvck", g, weight.double(), g).flatten(0, 1)
        self.register_buffer("transformed", transformed.to(weight.dtype).contiguous(), persistent=False)
        self.register_buffer("input_matrix", torch.tensor(_INPUT, dtype=weight.dtype), persistent=False)
        self.register_buffer("output_matrix", torch.tensor(_OUTPUT, dtype=weight.dtype), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, K, H, W)``, channels last in memory."""
        if image.device.type != "cpu":
            direct: Tensor = self.direct(image)
            return direct
        height, width = image.shape[2:]
        outputs = self._outputs(self._patches(image) @ self.transformed, len(image), -(-height // OUTPUTS))
        if self.direct.bias is not None:
            outputs += self.direct.bias
        return outputs[:, :height, :width].permute(0, 3, 1, 2)

    def _patches(self, image: Tensor) -> Tensor:
        """``B' x B`` of every square's patch, ``(36, squares, C)``."""
        _, channels, height, width = image.shape
        below, beside = (1 + -size % OUTPUTS for size in (height, width))  # zeros up to whole squares
        padded = functional.pad(image.permute(0, 2, 3, 1), (0, 0, 1, beside, 1, below))
        rows = padded.unfold(1, PATCH, OUTPUTS).permute(0, 1, 4, 2, 3).flatten(3)  # (B, down, 6, width * C)
        along = self.input_matrix @ rows
        along = along.view(*along.shape[:3], -1, channels)
        columns = along.unfold(3, PATCH, OUTPUTS).permute(0, 1, 2, 3, 5, 4)  # (B, down, 6, across, 6, C)
        patches: Tensor = self.input_matrix @ columns
        return patches.permute(2, 4, 0, 1, 3, 5).reshape(PATCH * PATCH, -1, channels)

    def _outputs(self, products: Tensor, batch: int, down: int) -> Tensor:
        """``A' m A`` of every square's products ``(36, squares, K)``, ``(B, 4 down, 4 across, K)``."""
        along = self.output_matrix @ products.view(PATCH, -1)
        squares: Tensor = self.output_matrix @ along.view(OUTPUTS, PATCH, -1)
        squares = squares.view(OUTPUTS, OUTPUTS, batch, down, -1, products.shape[-1])
        return squares.permute(2, 3, 0, 4, 1, 5).flatten(3, 4).flatten(1, 2)
