"""What is remembered of a module's file is what parsing it would say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark import source
from benchmark.errors import ConfigError
from benchmark.source import Source, read_source, remembered


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module, in a process that has read none."""
    forget(monkeypatch)
    path = tmp_path / "module.py"
    path.write_text("from . import used\nvalue = 1\n")
    return path


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where processes remember."""
    return tmp_path / "cache" / "sources.json"


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_known", {})


def read(file: Path, kept: Path, package: str = "package") -> Source:
    with remembered(kept.parent):
        return read_source(file, package)


def test_another_process_parses_nothing_anew(file: Path, kept: Path, monkeypatch: pytest.MonkeyPatch):
    first = read(file, kept)
    assert first.imports == ["package", "package.used"]
    written = kept.stat()
    forget(monkeypatch)
    monkeypatch.delattr(source, "_parsed")
    assert read(file, kept) == first
    assert kept.stat().st_ino == written.st_ino, "written although there was nothing new"


def test_without_a_place_to_remember_a_file_is_parsed(file: Path, kept: Path):
    assert read_source(file, "package").imports == ["package", "package.used"]
    assert not kept.exists()


def test_an_edited_file_is_read_again(file: Path, kept: Path, monkeypatch: pytest.MonkeyPatch):
    first = read(file, kept)
    forget(monkeypatch)
    file.write_text("import used\nvalue = 2\n")
    second = read(file, kept)
    assert second.fingerprint != first.fingerprint
    assert second.imports == ["used"]
    assert len(json.loads(kept.read_text())["sources"]) == 1


def test_the_same_bytes_are_read_again_where_they_mean_something_else(
    file: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
):
    first = read(file, kept)
    assert read(file, kept, "other").imports == ["other", "other.used"]
    monkeypatch.setattr(source, "_scheme", lambda: "another Python")
    assert read(file, kept).key != first.key


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"package.used"', '"package.user"'),
        lambda text: "[]",
        lambda text: '{"sources": 1}',
    ],
)
def test_a_damaged_memory_is_made_anew(file: Path, kept: Path, damage, monkeypatch: pytest.MonkeyPatch):
    first = read(file, kept)
    text = kept.read_text()
    assert damage(text) != text
    kept.write_text(damage(text))
    forget(monkeypatch)
    assert read(file, kept) == first
    assert kept.read_text() == text


def test_what_others_have_remembered_meanwhile_is_not_lost_for_the_next(
    file: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
):
    read(file, kept)
    forget(monkeypatch)
    other = file.with_name("other.py")
    other.write_text("")
    read(other, kept)
    assert set(json.loads(kept.read_text())["sources"]) == {str(file), str(other)}


def test_a_syntax_error_is_said_every_time(file: Path, kept: Path):
    file.write_text("value = = 1\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"module\.py, line 1: invalid syntax"):
            read(file, kept)
