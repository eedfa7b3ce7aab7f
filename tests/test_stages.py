"""What the scan may fetch."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark import registry, stages
from benchmark.closure import code_hash
from benchmark.config import Profile, validate
from benchmark.corpus import fetch
from benchmark.errors import ConfigError, DataError, DownloadError
from benchmark.records import Archive
from benchmark.workspace import Workspace
from tests.corpus.conftest import Tones

PROFILE = {"data": "real", "studies": ["s"], "rates": {"default": [16_000]}, "seeds": {"default": 1}, "runs": {}}


def test_a_plan_remembers_the_code_that_it_has_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("BENCHMARK_CACHE", raising=False)
    monkeypatch.setattr(
        stages, "make_plan", lambda workspace: SimpleNamespace(write=lambda: code_hash([stages.__name__]))
    )
    stages.plan_stage(Workspace(tmp_path, "sandbox"))
    remembered = json.loads((tmp_path / ".cache" / "benchmark" / "sources.json").read_text())
    assert stages.__file__ in remembered["sources"]


def test_nothing_is_fetched_unless_a_profile_says_so():
    assert not validate(Profile, PROFILE, "here").fetch
    assert validate(Profile, {**PROFILE, "fetch": True}, "here").fetch
    with pytest.raises(ConfigError, match="stand-in data has nothing to fetch"):
        validate(Profile, {**PROFILE, "data": "standin", "fetch": True}, "here")


def test_a_dataset_that_cannot_be_had_is_a_reason_and_damage_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Gated(Tones):
        access = "form"
        archives = (Archive("tones.zip", "https://example.org/tones.zip"),)
        steps = "Fill in the form."

    monkeypatch.setenv("BENCHMARK_DATA", str(tmp_path))
    monkeypatch.setattr(registry, "load", lambda kind, name: Gated())
    assert "Fill in the form." in stages._fetch_absent(Workspace(tmp_path, "p"), ["tones"])["tones"]

    def fails_with(error: Exception) -> None:
        def failing(*words: object) -> None:
            raise error

        monkeypatch.setattr(fetch, "fetch", failing)

    fails_with(DownloadError("no host."))
    assert stages._fetch_absent(Workspace(tmp_path, "p"), ["tones"]) == {"tones": "no host."}
    fails_with(DataError("damaged."))
    with pytest.raises(DataError, match="damaged"):
        stages._fetch_absent(Workspace(tmp_path, "p"), ["tones"])
    (tmp_path / "tones").mkdir()
    (tmp_path / "tones" / "low-1.wav").touch()
    assert stages._fetch_absent(Workspace(tmp_path, "p"), ["tones"]) == {}
