"""On a CUDA device: the same numbers as on the CPU, within rounding, and the same bits twice."""

from __future__ import annotations

import pytest
import torch

from benchmark import registry
from benchmark.config import Machine
from benchmark.pretraining.device import deterministic_torch
from benchmark.pretraining.method import Batch
from benchmark.seeding import isolated_torch_seed, torch_stream

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]


def encoder_on(device: torch.device | str) -> torch.nn.Module:
    encoder_class = registry.load("encoder", "tagliasacchi_cnn")
    with isolated_torch_seed(0, "gpu"):
        encoder = encoder_class(encoder_class.Config(width=0.25))
    return encoder.to(device).eval()


def test_embeddings_equal_those_of_the_cpu():
    waveforms = 0.1 * torch.randn(8, 15_600, generator=torch_stream(0, "audio"))
    with torch.inference_mode():
        expected = encoder_on("cpu")(waveforms)
        found = encoder_on("cuda")(waveforms.cuda()).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_two_training_steps_give_the_same_bits():
    method_class = registry.load("method", "simclr")
    gradients = []
    with deterministic_torch(Machine(device="cuda")) as device:
        for _ in range(2):
            with isolated_torch_seed(0, "method"):
                method = method_class(method_class.Config(), encoder_on(device)).to(device).train()
            waveforms = 0.1 * torch.randn(16, 2, 15_600, generator=torch_stream(0, "audio"))
            batch = Batch(waveforms.to(device), torch.full((16,), 15_600, device=device), None)
            with torch.autocast("cuda", torch.bfloat16):
                step = method.step(batch, torch_stream(0, "views", device=device))
            step.loss.backward()
            gradients.append(torch.cat([p.grad.flatten() for p in method.parameters() if p.grad is not None]))
    assert torch.equal(*gradients)
