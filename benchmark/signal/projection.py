"""Projection heads: what maps an encoder's h to the z that a contrastive loss compares."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import normalize

from benchmark.signal.encoder import Encoder


class ProjectionHead(nn.Sequential):
    """Linear layers with batch-norm and ReLU between them; without hidden layers it is linear.

    Its layers are numbered 0, 1, ... in its state. Shape: ``(B, inputs)`` to ``(B, outputs)``, not normalised.

    Args:
        inputs: size of h.
        hidden: units of each hidden layer.
        outputs: size of z.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int) -> None:
        layers: list[nn.Module] = []
        for before, after in pairwise((inputs, *hidden)):
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.Linear((inputs, *hidden)[-1], outputs))
        self.sizes = (inputs, *hidden, outputs)

    @property
    def outputs(self) -> int:
        """Size of z."""
        return self.sizes[-1]

    def represent(self, embeddings: Tensor) -> Tensor:
        """z of unit length ``(B, outputs)`` of h ``(B, inputs)`` (fonseca2021 section 2)."""
        return normalize(self(embeddings).float(), dim=1)


class Projected(Encoder):
    """An encoder of windows followed by its projection head: embeds waveforms as z of unit length."""

    def __init__(self, encoder: Encoder, projection: ProjectionHead) -> None:
        super().__init__()
        self.encoder, self.projection = encoder, projection
        self.sample_rate, self.window = encoder.sample_rate, encoder.window
        self.embedding_size = projection.outputs
        self.train(encoder.training)

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """``(B, T)`` to ``(B, outputs)``; see :class:`.encoder.Encoder`."""
        return self.projection.represent(self.encoder(waveform, lengths))
