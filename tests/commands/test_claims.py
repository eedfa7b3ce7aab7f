from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.config import parse_yaml
from benchmark.errors import ConfigError
from benchmark.statistics.claims.grammar import CLAIMS_FILE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the published numbers and ten claims, and no runs; the current folder."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    shutil.copytree(ROOT / "results" / "published", tmp_path / "results" / "published")
    data = yaml.load((tmp_path / CLAIMS_FILE).read_text(), yaml.CSafeLoader)
    (tmp_path / CLAIMS_FILE).write_text(yaml.safe_dump({**data, "claims": data["claims"][:10]}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_published_exits_with_0_where_all_is_as_stated(checkout: Path):
    result = CliRunner().invoke(app, ["claims", "--published"])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].endswith("0 differ from what claims.yaml expects")
    assert "EXPECTED" not in result.output


def test_published_exits_with_1_and_names_the_claim_that_differs(checkout: Path):
    data = parse_yaml((checkout / CLAIMS_FILE).read_text())
    data["claims"][0]["evidence"]["published_verdict"] = False
    (checkout / CLAIMS_FILE).write_text(yaml.safe_dump(data))
    result = CliRunner().invoke(app, ["claims", "--published"])
    assert result.exit_code == 1
    assert f"{data['claims'][0]['id']}  EXPECTED false" in result.output


def test_without_runs_every_claim_says_so(checkout: Path):
    result = CliRunner().invoke(app, ["claims", "--profile", "paper", "--out", "page"])
    assert result.exit_code == 0, result.output
    assert result.output.count("profile paper has no scores") == 10
    assert {path.name for path in (checkout / "page").iterdir()} == {"claims.md", "claims.html", "claims.json"}


def test_scores_of_a_smaller_profile_make_proxies(checkout: Path):
    scores = checkout / "results" / "mini" / "scores"
    shutil.copytree(ROOT / "results" / "reference" / "mini" / "transfer" / "scores", scores)
    binding = {
        "because": "a small encoder on ESC-10",
        "study": "transfer",
        "replace": {"task": {"fsdnoisy18k_val": "esc10"}, "encoder": {"resnet18": "tagliasacchi_cnn"}},
    }
    (checkout / "bindings.yaml").write_text(yaml.safe_dump({"bindings": [binding]}))
    result = CliRunner().invoke(app, ["claims", "--profile", "mini", "--bindings", "bindings.yaml"])
    assert result.exit_code == 0, result.output
    assert result.output.count("[proxy: not run]") == 10
    assert "only proxies" in result.output


def test_a_fault_in_the_file_is_a_sentence(checkout: Path):
    (checkout / CLAIMS_FILE).write_text("claims: 3")
    result = CliRunner().invoke(app, ["claims", "--published"])
    assert isinstance(result.exception, ConfigError)
