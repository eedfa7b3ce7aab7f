"""Features that have nothing to train: duration, log-mel statistics, a constant."""

from __future__ import annotations

import torch

from benchmark import Batch, ConfigError, CropRequest, Method, Step


class FixedFeatures(Method):
    """Exports its encoder as it is."""

    def crops(self) -> CropRequest:
        """One crop of the encoder's window, where it has one."""
        return CropRequest(1, max(1, self.encoder.window))

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Not to be called: there is nothing to train."""
        raise ConfigError("fixed_features trains nothing; leave training.steps at 0.")


METHOD = FixedFeatures
