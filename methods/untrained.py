"""The Untrained reference: a random encoder whose batch-norm fits the data."""

from __future__ import annotations

import torch

from benchmark import Batch, ConfigError, CropRequest, Method, Step, calibrate_batchnorm


class Untrained(Method):
    """Trains nothing; batch-norm gets the statistics of a fixed draw of training crops.

    tagliasacchi2020 says nothing of batch-norm in its Untrained reference. With the initial statistics of 0 and 1 the
    features would be badly scaled, which would understate the reference.
    """

    def crops(self) -> CropRequest:
        """One crop of the encoder's window."""
        return CropRequest(1, self.encoder.window, "tile")

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Not to be called: there is nothing to train."""
        raise ConfigError("untrained trains nothing; leave training.steps at 0.")

    def finish(self, batches: list[Batch]) -> None:
        """Calibrate batch-norm.

        Raises:
            ConfigError: there is batch-norm to calibrate and no data to do it with.
        """
        if not batches and any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in self.modules()):
            raise ConfigError("untrained needs clips to calibrate batch-norm on; name them as the run's `data`.")
        calibrate_batchnorm(self.encoder, [batch.waveforms[:, 0] for batch in batches])


METHOD = Untrained
