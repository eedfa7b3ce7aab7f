"""Studies of the checkout and of installed packages are found alike."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from benchmark import studies
from benchmark.closure import locate
from benchmark.errors import ConfigError
from benchmark.overview import listing
from benchmark.studies import find_study, load_study, study_files

STUDY = "id: {}\ntitle: Outside\ntasks: []\nprotocols: {{}}\nruns: {{}}\ntables: {{}}\n"


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    studies._declarations.cache_clear()
    yield
    studies._declarations.cache_clear()


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
    studies._declarations.cache_clear()


RUNS = """
runs:
  base: {title: Base, method: simclr, encoder: crnn, evaluate: [], protocols: [],
    method_config: {mix_back: {alpha: 0.1}, noise: 0.0}}
  child: {extends: base, title: Child, method_config: {mix_back: {adjust_energy: false}}}
  grandchild: {extends: child, variant: v=1, method_config: {noise: 0.5}}
"""


def write_runs(root: Path, runs: str) -> None:
    (root / "studies" / "inside.yaml").write_text(STUDY.format("inside").replace("runs: {}\n", runs))


def test_a_run_extends_another_by_its_delta(root: Path):
    write_runs(root, RUNS)
    runs = load_study(root, "inside").runs
    assert runs["child"].method_config == {"mix_back": {"alpha": 0.1, "adjust_energy": False}, "noise": 0.0}
    assert runs["grandchild"].method_config == {"mix_back": {"alpha": 0.1, "adjust_energy": False}, "noise": 0.5}
    assert (runs["grandchild"].title, runs["grandchild"].encoder, runs["grandchild"].variant) == (
        "Child",
        "crnn",
        "v=1",
    )
    assert runs["base"].method_config["noise"] == 0.0


@pytest.mark.parametrize(
    ("base", "why"),
    [("nobody", "extends 'nobody', which is not there"), ("child", "extends 'base', which extends it in turn")],
)
def test_a_run_that_extends_nothing_or_itself_is_refused(root: Path, base: str, why: str):
    write_runs(root, RUNS.replace("base: {title: Base", f"base: {{extends: {base}, title: Base"))
    with pytest.raises(ConfigError, match=why):
        load_study(root, "inside")


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
