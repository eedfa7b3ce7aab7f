from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.corpus import standin
from benchmark.corpus.scan import scan, standin_fingerprint
from benchmark.corpus.standin import ensure_standin
from benchmark.errors import StorageError
from tests.corpus.conftest import Tones


def test_a_scan_changes_when_the_files_do(tones: Path):
    first = scan(Tones(), tones.parent, "real")
    assert first["present"]
    assert first["files"] == 10
    assert first["bytes"] == sum(path.stat().st_size for path in tones.iterdir())
    assert scan(Tones(), tones.parent, "real") == first
    (tones / "new.wav").write_bytes(b"x")
    second = scan(Tones(), tones.parent, "real")
    (tones / "new.wav").write_bytes(b"yz")
    third = scan(Tones(), tones.parent, "real")
    assert len({found["fingerprint"] for found in (first, second, third)}) == 3


def test_a_scan_names_no_place_of_the_machine(tones: Path):
    assert str(tones.parent) not in json.dumps(scan(Tones(), tones.parent, "real"))


def test_missing_data_is_a_fact(tmp_path: Path):
    found = scan(Tones(), tmp_path, "real")
    assert not found["present"]
    assert "tones" in found["reason"]
    (tmp_path / "tones").mkdir()
    assert scan(Tones(), tmp_path, "real") == found


def test_hidden_files_do_not_count(tones: Path):
    first = scan(Tones(), tones.parent, "real")
    (tones / ".DS_Store").write_bytes(b"x")
    assert scan(Tones(), tones.parent, "real") == first


def test_a_standin_is_identified_by_what_writes_it(tmp_path: Path):
    found = scan(Tones(), tmp_path, "standin")
    assert found["present"]
    assert found == scan(Tones(), tmp_path / "elsewhere", "standin")
    assert found["fingerprint"] != standin_fingerprint(Tones(), seed=1)


def test_a_standin_is_written_once(tmp_path: Path):
    folder = tmp_path / "standin" / "tones"
    ensure_standin(Tones(), folder)
    changed = (folder / "low-1.wav").stat().st_mtime_ns
    ensure_standin(Tones(), folder)
    assert (folder / "low-1.wav").stat().st_mtime_ns == changed


def test_a_standin_of_other_code_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "tones"
    ensure_standin(Tones(), folder)
    (folder / "left-over.wav").touch()
    monkeypatch.setattr(standin, "standin_fingerprint", lambda dataset, seed: "another")
    ensure_standin(Tones(), folder)
    assert not (folder / "left-over.wav").exists()


def test_a_standin_is_never_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "tones"
    real_write = Tones.write_standin

    def interrupted(self: Tones, folder: Path, seed: int) -> None:
        real_write(self, folder, seed)
        raise KeyboardInterrupt

    monkeypatch.setattr(Tones, "write_standin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure_standin(Tones(), folder)
    assert not folder.exists()
    monkeypatch.undo()
    ensure_standin(Tones(), folder)
    assert len(Tones().read(folder)) == 10


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: Tones, folder: Path, seed: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Tones, "write_standin", full)
    with pytest.raises(StorageError, match="No space left"):
        ensure_standin(Tones(), tmp_path / "tones")
