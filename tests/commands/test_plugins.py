"""`benchmark new` and `benchmark check` as a user runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmark import registry
from benchmark.cli import app
from benchmark.errors import ConfigError
from tests.pretraining.test_preflight import Detached, Sound, TinyEncoder


def invoke(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, words)
    if isinstance(done.exception, ConfigError):
        raise done.exception
    return done.exit_code, done.output


def test_new_says_what_it_wrote_and_what_comes_next(tmp_path: Path):
    code, output = invoke("new", "method", "new_sound", "--package", str(tmp_path / "sounds"))
    assert code == 0
    module = tmp_path / "sounds" / "sounds" / "new_sound.py"
    assert f"wrote {module}" in output
    assert module.exists()
    assert "benchmark check new_sound" in output.partition("Next:")[2]


def test_new_in_a_checkout_needs_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="No checkout"):
        invoke("new", "task", "new_sound")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("method", "code", "said"),
    [
        (Sound, 0, "sound on tiny: ready to run."),
        (Detached, 1, "fault       gradients: no gradient reaches encoder.linear.weight"),
    ],
)
def test_check_ends_with_1_where_something_is_wrong(
    method: type, code: int, said: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(registry, "load", lambda kind, name: {"method": method, "encoder": TinyEncoder}[kind])
    found, output = invoke("check", "sound", "--encoder", "tiny")
    assert found == code
    assert said in output


def test_check_offers_the_nearest_name():
    with pytest.raises(ConfigError, match="Unknown method 'simcrl': did you mean 'simclr'"):
        invoke("check", "simcrl")
