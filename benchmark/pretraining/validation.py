"""Accuracy of a classifier in training on its fold's validation clips: shows whether training has levelled off."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.corpus.store import Corpus
from benchmark.pretraining.method import Method
from benchmark.signal.crops import to_waveforms

WINDOWS = 4
"""Windows a clip, spread evenly; their logits are averaged."""

NAME = "validation_accuracy"


class ValidationAccuracy:
    """Probe at a quarter, a half, three quarters and the end of training.

    Args:
        corpus: restricted to the validation clips.
        rows: the validation clips.
        labels: class index of every clip of the corpus, by row.
        batch_size: clips embedded at once.
    """

    def __init__(
        self, corpus: Corpus, rows: NDArray[np.int64], labels: NDArray[np.integer], *, batch_size: int = 16
    ) -> None:
        self.corpus, self.rows, self.labels = corpus, rows, labels
        self.batch_size = batch_size

    def due(self, step: int, steps: int) -> bool:
        """At 25, 50, 75 and 100 % of the steps."""
        return step > 0 and step in {round(steps * quarter / 4) for quarter in (1, 2, 3, 4)}

    def __call__(self, step: int, method: Method) -> dict[str, float]:
        """The share of validation clips whose class the classifier finds."""
        right = 0
        for start in range(0, len(self.rows), self.batch_size):
            rows = self.rows[start : start + self.batch_size]
            predicted = self._logits(rows, method).argmax(dim=1).cpu().numpy()
            right += int((predicted == self.labels[rows]).sum())
        return {NAME: right / len(self.rows)}

    def _logits(self, rows: NDArray[np.int64], method: Method) -> Tensor:
        head, encoder, request = method.head(), method.encoder, method.crops()
        assert head is not None
        room = np.maximum(self.corpus.clips["samples"].to_numpy(np.int64)[rows] - request.samples, 0)
        starts = (room[:, None] * np.linspace(0.0, 1.0, WINDOWS)).astype(np.int64)
        crops = self.corpus.gather(np.repeat(rows, WINDOWS), starts.reshape(-1), request.samples, request.short)
        embeddings = encoder(to_waveforms(crops, head.weight.device))
        logits: Tensor = head(embeddings)
        return torch.unflatten(logits, 0, (len(rows), WINDOWS)).mean(dim=1)
