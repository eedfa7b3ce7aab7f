import pytest
import torch
from torch.utils import deterministic

from benchmark.config import Machine
from benchmark.errors import ConfigError
from benchmark.pretraining.device import deterministic_torch, tensor_float_32


def test_threads_and_determinism_hold_inside_and_are_restored() -> None:
    before = torch.get_num_threads()
    with deterministic_torch(Machine(device="cpu", threads=before + 1)) as device:
        assert device == torch.device("cpu")
        assert torch.get_num_threads() == before + 1
        assert torch.are_deterministic_algorithms_enabled()
        assert not deterministic.fill_uninitialized_memory
        assert not torch.backends.cudnn.allow_tf32
        with tensor_float_32(True):
            assert torch.backends.cudnn.allow_tf32
            assert torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
    assert deterministic.fill_uninitialized_memory
    assert torch.backends.cudnn.allow_tf32
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()


def test_restored_after_an_error_too() -> None:
    with pytest.raises(ValueError, match="inside"), deterministic_torch(Machine()):
        raise ValueError("inside")
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("name", ["cuda:99", "warp-drive"])
def test_an_unknown_device_is_one_sentence(name: str) -> None:
    with (
        pytest.raises(ConfigError, match=rf"machine.device: '{name}' is not available"),
        deterministic_torch(Machine(device=name)),
    ):
        pass
