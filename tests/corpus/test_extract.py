from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.corpus import extract as module
from benchmark.corpus.extract import extract
from benchmark.errors import BenchmarkError, DataError, StorageError

Content = dict[str, bytes]
SUFFIXES = [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tgz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
}
FILES: Content = {"top/a.wav": b"one" * 1000, "top/below/b.csv": b"x,y\n1,2\n", "top/empty": b""}


def zip_of(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def tar_of(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, encoding="utf-8") as archive:
        for info, data in members:
            info.size = len(data) if info.type in {tarfile.REGTYPE, tarfile.AREGTYPE} else 0
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tar_info(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_info(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def packed(suffix: str, files: Content) -> bytes:
    if suffix == ".zip":
        return zip_of(*files.items())
    return COMPRESS[suffix](tar_of(*((tar_info(name), data) for name, data in files.items())))


def unpack(data: bytes, name: str, folder: Path) -> Content:
    """What comes out; nothing may appear beside the folder."""
    beside = set(folder.parent.iterdir()) | {folder}
    folder.mkdir()
    try:
        extract(io.BytesIO(data), name, len(data), folder)
    finally:
        assert set(folder.parent.iterdir()) == beside
        for path in folder.rglob("*"):
            assert path.is_dir() or path.is_file()
            assert not path.is_symlink()
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format(suffix: str, tmp_path: Path):
    assert unpack(packed(suffix, FILES), f"x{suffix}", tmp_path / "out") == FILES


def test_the_tools_own_archives(tmp_path: Path):
    """What other programs write, with folders, times and names outside ASCII."""
    source = tmp_path / "source"
    for name, data in {**FILES, "top/ä ö/日本.wav": b"name"}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
        os.utime(source / name, (1_500_000_000, 1_500_000_000))
    expected = {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*") if path.is_file()}
    commands = {"x.tar": ["tar", "-cf"], "x.tar.gz": ["tar", "-czf"], "x.zip": ["zip", "-qr"]}
    for name, command in commands.items():
        if shutil.which(command[0]) is None:
            continue
        subprocess.run(
            [*command, str(tmp_path / name), "./top"], cwd=source, check=True, env={**os.environ, "TZ": "UTC"}
        )
        assert unpack((tmp_path / name).read_bytes(), name, tmp_path / f"{name}-out") == expected
        assert (tmp_path / f"{name}-out" / "top" / "a.wav").stat().st_mtime == 1_500_000_000


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "a/../../evil", "/evil", "//evil", "C:\\evil", "C:evil", "..\\evil", "a\\..\\..\\evil"),
        *("a/b\x07c", "a/" + "x" * 300, "/".join("d" * 100)),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_that_leaves_the_folder_is_refused(name: str, kind: str, tmp_path: Path):
    if kind == "zip":
        info = zipfile.ZipInfo("x")
        info.filename = name  # the constructor would clean it
        data = zip_of((info, b"evil"))
    else:
        data = tar_of((tar_info(name), b"evil"))
    if kind == "tar" and "\\" in name and ":" not in name:
        assert list(unpack(data, "x.tar", tmp_path / "out")) == [
            name
        ]  # there a backslash is a character like any other
        return
    with pytest.raises(DataError, match="refused") as caught:
        unpack(data, f"x.{kind}", tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "missing", "link"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, b"zip"])
def test_a_link_to_anything_not_unpacked_is_refused(target: str, kind: bytes, tmp_path: Path):
    (tmp_path / "outside").write_text("secret")
    if kind == b"zip":
        data, name = zip_of((zip_info("link", stat.S_IFLNK | 0o777), target.encode())), "x.zip"
    else:
        data, name = tar_of((tar_info("link", kind, target), b"")), "x.tar"
    with pytest.raises(DataError, match="refused"):
        unpack(data, name, tmp_path / "out")


def test_a_file_through_a_link_cannot_leave(tmp_path: Path):
    """The classic: a link to a folder outside, then a file below it."""
    (tmp_path / "outside").mkdir()
    data = tar_of((tar_info("d", tarfile.SYMTYPE, str(tmp_path / "outside")), b""), (tar_info("d/evil"), b"evil"))
    with pytest.raises(DataError, match="refused"):
        unpack(data, "x.tar", tmp_path / "out")
    assert not list((tmp_path / "outside").iterdir())


def test_a_link_to_a_file_within_becomes_a_copy(tmp_path: Path):
    members = [
        (tar_info("d/a"), b"audio"),
        (tar_info("d/hard", tarfile.LNKTYPE, "d/a"), b""),
        (tar_info("e/soft", tarfile.SYMTYPE, "../d/a"), b""),
    ]
    assert unpack(tar_of(*members), "x.tar", tmp_path / "tar") == dict.fromkeys(["d/a", "d/hard", "e/soft"], b"audio")
    link = (zip_info("e/soft", stat.S_IFLNK | 0o777), b"../d/a")
    assert unpack(zip_of(("d/a", b"audio"), link), "x.zip", tmp_path / "zip") == {"d/a": b"audio", "e/soft": b"audio"}


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"zip"])
def test_devices_and_pipes_are_refused(kind: bytes, tmp_path: Path):
    data = zip_of((zip_info("p", stat.S_IFIFO), b"")) if kind == b"zip" else tar_of((tar_info("p", kind), b""))
    with pytest.raises(DataError, match="device or pipe"):
        unpack(data, "x.zip" if kind == b"zip" else "x.tar", tmp_path / "out")


def test_no_permission_bits_are_taken_over(tmp_path: Path):
    info = tar_info("run")
    info.mode = 0o6777
    unpack(tar_of((info, b"#!")), "x.tar", tmp_path / "out")
    assert (tmp_path / "out" / "run").stat().st_mode & 0o7111 == 0


class TestBombs:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "FLOOR", 1 << 20)
        monkeypatch.setattr(module, "MEMBERS", 50)

    @pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.bz2", ".tar.xz"])
    def test_zeros_without_end(self, suffix: str, tmp_path: Path):
        data = packed(suffix, {"zeros": bytes(20 << 20)})
        with pytest.raises(DataError, match="bomb"):
            unpack(data, f"x{suffix}", tmp_path / "out")
        assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 2 << 20

    def test_a_zip_that_lies_about_sizes(self, tmp_path: Path):
        data = bytearray(zip_of(("zeros", bytes(20 << 20))))
        place = data.index(b"PK\x01\x02") + 24
        data[place : place + 4] = (100).to_bytes(4, "little")
        with pytest.raises(DataError):
            unpack(bytes(data), "x.zip", tmp_path / "out")

    def test_members_without_end(self, tmp_path: Path):
        data = packed(".tar.gz", {f"{number}": b"" for number in range(5_000)})
        with pytest.raises(DataError, match="members"):
            unpack(data, "x.tar.gz", tmp_path / "out")

    def test_a_header_without_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(module, "_LONGEST_HEADER", 1 << 20)
        info = tar_info("x")
        info.pax_headers = {"comment": "0" * (8 << 20)}
        with pytest.raises(DataError, match="header"):
            unpack(gzip.compress(tar_of((tar_info("first"), b"x"), (info, b""))), "x.tar.gz", tmp_path / "out")

    def test_many_links_to_one_file(self, tmp_path: Path):
        links = [(tar_info(f"l{number}", tarfile.LNKTYPE, "a"), b"") for number in range(30)]
        with pytest.raises(DataError, match="bomb"):
            unpack(gzip.compress(tar_of((tar_info("a"), bytes(1 << 19)), *links)), "x.tgz", tmp_path / "out")

    def test_overlapping_members(self, tmp_path: Path):
        """Every directory entry points to the same data."""
        whole = zip_of(*((f"{number:02d}", bytes(1 << 18)) for number in range(40)))
        data = bytearray(whole)
        place = data.find(b"PK\x01\x02")
        while place >= 0:
            data[place + 42 : place + 46] = bytes(4)
            place = data.find(b"PK\x01\x02", place + 1)
        with pytest.raises(DataError):
            unpack(bytes(data), "x.zip", tmp_path / "out")


def test_honest_compression_passes(tmp_path: Path):
    rows = b"".join(b"%06d.wav,label %d\n" % (number, number % 50) for number in range(100_000))
    assert unpack(packed(".tar.gz", {"meta.csv": rows}), "x.tar.gz", tmp_path / "out") == {"meta.csv": rows}


def test_odd_encodings_of_names(tmp_path: Path):
    plain = zip_of(("top/XX.wav", b"1"), ("top/YY.wav", b"2"))
    data = plain.replace(b"XX", "é".encode()).replace(b"YY", b"\x81\xff")  # UTF-8 without its flag; code page 437
    assert unpack(data, "x.zip", tmp_path / "zip") == {"top/é.wav": b"1", "top/ü\xa0.wav": b"2"}
    tar = tar_of((tar_info("top/XX"), b"1"), form=tarfile.GNU_FORMAT)
    raw = bytearray(tar)
    raw[4:6] = b"\xe9\xff"  # Latin-1
    raw[148:156] = b" " * 8
    raw[148:155] = b"%06o\0" % sum(raw[:512])
    assert unpack(bytes(raw), "x.tar", tmp_path / "tar") == {"top/éÿ": b"1"}


def test_a_member_twice_the_last_one_counts(tmp_path: Path):
    data = tar_of((tar_info("a"), b"old"), (tar_info("a"), b"new"))
    assert unpack(data, "x.tar", tmp_path / "out") == {"a": b"new"}


@pytest.mark.parametrize("members", [["a", "a/b"], ["a/b", "a"]])
@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_a_file_that_is_also_a_folder(members: list[str], suffix: str, tmp_path: Path):
    with pytest.raises(DataError, match="both as a file and as a folder"):
        unpack(packed(suffix, dict.fromkeys(members, b"x")), f"x{suffix}", tmp_path / "out")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "text"])
def test_a_damaged_archive_is_one_sentence(suffix: str, damage: str, tmp_path: Path):
    noise = np.random.default_rng(0).bytes(5000)
    whole = packed(suffix, {"a": noise, "b": noise[::-1]})
    data = {"empty": b"", "cut": whole[: len(whole) // 2], "noise": noise, "text": b"<html>"}[damage]
    with pytest.raises(DataError, match=rf"x{suffix} ") as caught:
        unpack(data, f"x{suffix}", tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_an_encrypted_or_unknown_zip(tmp_path: Path):
    whole = bytearray(zip_of(("a", b"secret" * 100)))
    whole[6] |= 1
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DataError, match="password"):
        unpack(bytes(whole), "x.zip", tmp_path / "encrypted")
    other = bytearray(zip_of(("a", b"secret" * 100)))
    other[8] = other[other.index(b"PK\x01\x02") + 10] = 97
    with pytest.raises(DataError, match="compression"):
        unpack(bytes(other), "x.zip", tmp_path / "unknown")


def test_an_archive_without_a_file_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="holds no file"):
        unpack(zip_of(("folder/", b"")), "x.zip", tmp_path / "out")


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*words: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_copy", full)
    with pytest.raises(StorageError, match="No space left"):
        unpack(packed(".zip", FILES), "x.zip", tmp_path / "out")


def mutated(data: bytes, generator: np.random.Generator) -> bytes:
    """Up to eight changes: bytes, runs, cuts, repeats, and values that headers dislike."""
    result = bytearray(data)
    for _ in range(int(generator.integers(1, 9))):
        place = int(generator.integers(0, max(1, len(result))))
        size = int(generator.integers(1, 40))
        match int(generator.integers(0, 7)):
            case 0:
                result[place : place + 1] = generator.bytes(1)
            case 1:
                result[place : place + size] = generator.bytes(size)
            case 2:
                del result[place : place + size]
            case 3:
                result[place:place] = result[place : place + size]
            case 4:
                result[place : place + 4] = b"\xff\xff\xff\xff"
            case 5:
                result[place : place + 3] = b"../"
            case _:
                del result[place : None if generator.random() < 0.2 else place + 1]
    return bytes(result)


def seeds() -> dict[str, bytes]:
    """Small archives of every kind, with links, long names, sparse files and zip64."""
    long = "/".join(["directory"] * 20) + "/file"
    links = [
        (tar_info("a"), b"audio" * 50),
        (tar_info("l", tarfile.LNKTYPE, "a"), b""),
        (tar_info("d/s", tarfile.SYMTYPE, "../a"), b""),
        (tar_info("d", tarfile.DIRTYPE), b""),
        (tar_info(long), b"long"),
    ]
    found = {f"plain{suffix}": packed(suffix, FILES) for suffix in SUFFIXES}
    found["gnu.tar"] = tar_of(*links, form=tarfile.GNU_FORMAT)
    found["pax.tar"] = tar_of(*links, form=tarfile.PAX_FORMAT)
    found["links.zip"] = zip_of(("d/a", b"x" * 300), (zip_info("l", stat.S_IFLNK | 0o777), b"d/a"), (long, b"y"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("big", "w", force_zip64=True) as file:
        file.write(b"zip64")
    found["zip64.zip"] = buffer.getvalue()
    return found


def fuzz(folder: Path, rounds: int, seed: int) -> dict[str, int]:
    """Unpack ``rounds`` mutations of every seed; whatever happens is success or one sentence, quickly and inside."""
    outcomes = {"unpacked": 0, "refused": 0, "several lines": 0}
    for name, data in seeds().items():
        generator = np.random.default_rng([seed, len(name), sum(map(ord, name))])
        for _ in range(rounds):
            start = time.monotonic()
            try:
                unpack(mutated(data, generator), name, folder / "out")
                outcomes["unpacked"] += 1
            except BenchmarkError as error:
                outcomes["refused" if "\n" not in str(error) else "several lines"] += 1
            assert time.monotonic() - start < 5
            shutil.rmtree(folder / "out")
    return outcomes


def test_mutated_archives_never_crash_hang_or_leave_the_folder(tmp_path: Path):
    outcomes = fuzz(tmp_path, 15, seed=0)
    assert outcomes["several lines"] == 0
    assert min(outcomes["unpacked"], outcomes["refused"]) > 10


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_thousands_of_mutated_archives(tmp_path: Path):
    """BENCHMARK_FUZZ mutations of each of ten archives."""
    rounds = int(os.environ.get("BENCHMARK_FUZZ", "200"))
    outcomes = fuzz(tmp_path, rounds, seed=1)
    assert outcomes["several lines"] == 0
    assert outcomes["unpacked"] + outcomes["refused"] == rounds * len(seeds())
