"""Studies of the checkout and of installed packages are found alike."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from benchmark.closure import locate
from benchmark.errors import ConfigError
from benchmark.overview import listing
from benchmark.studies import find_study, load_study, study_files

STUDY = "id: {}\ntitle: Outside\ntasks: []\nprotocols: {{}}\nruns: {{}}\ntables: {{}}\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the study ``inside``, and a package with the file of ``outside``."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "inside.yaml").write_text(STUDY.format("inside"))
    (tmp_path / "params.yaml").touch()
    package = tmp_path / "site" / "study_pkg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "outside.yaml").write_text(STUDY.format("outside"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    locate.cache_clear()
    declare(monkeypatch, outside="study_pkg")
    return tmp_path


def declare(monkeypatch: pytest.MonkeyPatch, **entries: str) -> None:
    found = [metadata.EntryPoint(name, value, "benchmark.studies") for name, value in entries.items()]
    monkeypatch.setattr(metadata, "entry_points", lambda group: found if group == "benchmark.studies" else [])


@pytest.mark.parametrize("value", ["study_pkg", "study_pkg:outside.yaml"])
def test_a_packages_study_is_read_without_importing_the_package(
    root: Path, monkeypatch: pytest.MonkeyPatch, value: str
):
    declare(monkeypatch, outside=value)
    assert load_study(root, "outside").title == "Outside"
    assert list(study_files(root)) == ["inside", "outside"]
    assert find_study(root, "outside").where == "study_pkg:outside.yaml"


def test_it_is_listed(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(root)
    assert [row["name"] for row in listing("studies", None)] == ["inside", "outside"]


def test_an_unknown_study_is_answered_with_the_nearest(root: Path):
    with pytest.raises(ConfigError, match="Unknown study 'outsid': did you mean 'outside'"):
        load_study(root, "outsid")


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"inside": "study_pkg:outside.yaml"}, r"Two studies are called 'inside' \(studies/inside.yaml and study_pkg:"),
        ({"other": "study_pkg:outside.yaml"}, "study_pkg:outside.yaml: its id is 'outside' and its name 'other'"),
        ({"other": "study_pkg"}, "should lie in study_pkg as other.yaml and does not"),
        ({"other": "nowhere_pkg"}, "should lie in nowhere_pkg as other.yaml and does not"),
    ],
)
def test_wrong_declarations_are_one_sentence(
    root: Path, monkeypatch: pytest.MonkeyPatch, entries: dict[str, str], sentence: str
):
    declare(monkeypatch, **entries)
    with pytest.raises(ConfigError, match=sentence):
        load_study(root, "other")


def test_a_fault_inside_names_package_and_file(root: Path):
    file = root / "site" / "study_pkg" / "outside.yaml"
    file.write_text(file.read_text().replace("tasks:", "notes: []\ntakss: []\ntasks:"))
    with pytest.raises(ConfigError, match=r"study_pkg:outside\.yaml: unknown parameter 'takss'; did you mean 'tasks'"):
        load_study(root, "outside")
