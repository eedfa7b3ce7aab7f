"""``benchmark evaluate`` scores a run or an outside model, and says which options belong to which."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "one of --run <run>-<seed> and --model <module>"),
        (["--run", "majority-0", "--model", "m"], "one of --run <run>-<seed> and --model <module>"),
        (["--run", "majority-0", "--tasks", "esc10"], "--weights, --tasks and the like belong to --model"),
        (["--model", "no_such_module"], "The module no_such_module cannot be found"),
    ],
)
def test_what_a_user_can_get_wrong(words: list[str], told: str):
    error = CliRunner().invoke(app, ["evaluate", "--profile", "sandbox", *words]).exception
    assert isinstance(error, ConfigError)
    assert told in str(error)
