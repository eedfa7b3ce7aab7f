from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from benchmark.corpus.archives import install, units, verify
from benchmark.corpus.pack import left_over, pack_standin
from benchmark.corpus.standin import ensure_standin
from benchmark.errors import DataError
from benchmark.records import Access, Archive
from tests.corpus.conftest import Tones


def tones_in(*archives: Archive, access: Access = "open") -> Tones:
    class Packed(Tones):
        pass

    Packed.archives = archives
    Packed.access = access
    return Packed()


def parts(name: str, *ends: str, **facts: str) -> tuple[Archive, ...]:
    return tuple(Archive(f"{name}{end}", "https://example.org", part_of=facts["whole"], into="tones") for end in ends)


LAYOUTS: dict[str, tuple[Archive, ...]] = {
    "zip with the dataset's folder": (Archive("tones.zip", ""),),
    "tar.gz without a top folder": (Archive("t.tar.gz", "", into="tones"),),
    "tgz, bz2 and xz by pattern": (
        Archive("low.tgz", "", holds=("low-*.wav",)),
        Archive("high.tar.bz2", "", holds=("high-[0-9].wav", "high-*")),
        Archive("none.tar.xz", "", holds=("absent/**",)),
    ),
    "split zip": parts("t.", "z01", "z02", "zip", whole="t.zip"),
    "byte splits": parts("t_part", "aa", "ab", whole="t.tar"),
    "dealt among equals": (Archive("1.zip", "", into="tones"), Archive("2.zip", "", into="tones")),
    "a file as it is": (Archive("low-1.wav", "", into="tones"), Archive("t.zip", "", holds=("[!x]*", "*-*"))),
}


@pytest.mark.parametrize("archives", LAYOUTS.values(), ids=LAYOUTS)
def test_a_standin_comes_out_of_its_archives_as_it_was(archives: tuple[Archive, ...], tones: Path, tmp_path: Path):
    dataset = tones_in(*archives)
    packed = pack_standin(dataset, tones, tmp_path / "archives")
    assert {archive.file for archive in packed} == {path.name for path in (tmp_path / "archives").iterdir()}
    for unit in units(packed):
        paths = [tmp_path / "archives" / part.file for part in unit.parts]
        for part, path in zip(unit.parts, paths, strict=True):
            verify(path, part)
        install(unit, paths, tmp_path / "data", dataset.folder)
    found = {path.name: path.read_bytes() for path in (tmp_path / "data" / "tones").rglob("*")}
    assert found == {path.name: path.read_bytes() for path in tones.iterdir()}
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["tones"]


def test_archives_are_the_same_to_the_byte(tones: Path, tmp_path: Path):
    for archives in LAYOUTS.values():
        first = pack_standin(tones_in(*archives), tones, tmp_path / "1")
        (tones / "low-1.wav").touch()
        assert pack_standin(tones_in(*archives), tones, tmp_path / "2") == first


def test_equals_share_the_files(tones: Path, tmp_path: Path):
    sizes = [archive.bytes or 0 for archive in pack_standin(tones_in(*LAYOUTS["dealt among equals"]), tones, tmp_path)]
    assert min(sizes) > 0.5 * max(sizes)


def test_a_file_that_no_archive_holds_is_a_fault_of_the_record(tones: Path, tmp_path: Path):
    archive = Archive("t.zip", "", holds=("low-*",))
    with pytest.raises(DataError, match=r"No archive of tones holds high-0\.wav"):
        pack_standin(tones_in(archive), tones, tmp_path)
    by_hand = tones_in(archive, access="user-supplied")
    pack_standin(by_hand, tones, tmp_path)
    assert left_over(by_hand, tones) == [f"high-{number}.wav" for number in (0, 2, 4, 6, 8)]


class Mended(Tones):
    """Its archive was packed by a code host, which names the top folder otherwise."""

    archives: ClassVar[tuple[Archive, ...]] = (Archive("tones-0f3a.zip", ""),)


def test_a_standin_takes_the_way_of_its_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from benchmark.corpus import standin

    seen = []
    real = standin.install
    monkeypatch.setattr(standin, "install", lambda unit, *rest: seen.append(unit.name) or real(unit, *rest))
    ensure_standin(Mended(), tmp_path / "tones")
    assert seen == ["tones-0f3a.zip"]
    assert len(Mended().read(tmp_path / "tones")) == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tones.lock", "tones"]
