import copy

import pytest
import torch

from benchmark.config import MethodConfig
from benchmark.errors import ConfigError
from benchmark.pretraining.export import build_encoder
from benchmark.pretraining.method import Batch
from benchmark.seeding import isolated_torch_seed
from methods.fixed_features import FixedFeatures
from methods.untrained import Untrained


def make() -> Untrained:
    with isolated_torch_seed(0, "test"):
        return Untrained(MethodConfig(), build_encoder("tagliasacchi_cnn", {"width": 0.0625, "frames": 16}))


def batches(method: Untrained, count: int = 3) -> list[Batch]:
    generator = torch.Generator().manual_seed(0)
    window = method.crops().samples
    return [
        Batch(0.1 * torch.randn(10, 1, window, generator=generator), torch.full((10,), window), None)
        for _ in range(count)
    ]


def test_finish_calibrates_batchnorm_and_nothing_else() -> None:
    method = make()
    before = copy.deepcopy(method.encoder.state_dict())
    data = batches(method)
    method.finish(data)
    changed = {name for name, value in method.encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if name.endswith(("running_mean", "running_var"))}

    # in evaluation mode the calibrated encoder equals one training pass over the whole draw
    whole = torch.cat([batch.waveforms[:, 0] for batch in data])
    with torch.no_grad():
        torch.testing.assert_close(method.encoder.eval()(whole), make().encoder.train()(whole), rtol=1e-3, atol=1e-4)


def test_it_has_nothing_to_train() -> None:
    assert Untrained.default_training.steps == 0
    assert FixedFeatures.default_training.steps == 0
    data = batches(make(), 1)[0]
    with pytest.raises(ConfigError, match="trains nothing"):
        make().step(data, torch.Generator())
    with pytest.raises(ConfigError, match="trains nothing"):
        FixedFeatures(MethodConfig(), build_encoder("duration", {})).step(data, torch.Generator())


def test_batchnorm_without_data_is_refused_and_none_needs_none() -> None:
    with pytest.raises(ConfigError, match="needs clips to calibrate"):
        make().finish([])
    Untrained(MethodConfig(), build_encoder("logmel_statistics", {})).finish([])
    fixed = FixedFeatures(MethodConfig(), build_encoder("logmel_statistics", {}))
    fixed.finish([])
    assert fixed.crops().samples >= 1
