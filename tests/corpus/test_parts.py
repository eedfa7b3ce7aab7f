from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from benchmark.corpus.archives import Unit, install
from benchmark.corpus.pack import split_zip
from benchmark.corpus.parts import open_parts
from benchmark.errors import DataError
from benchmark.records import Archive

needs_zip = pytest.mark.skipif(shutil.which("zip") is None, reason="needs the zip tool as an independent writer")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02d}.bin").write_bytes(generator.bytes(int(generator.integers(0, 40_000))))
    (folder / "text.txt").write_text("compressible " * 20_000)
    return folder


def zipped(files: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(files.iterdir()):
            archive.write(path, f"files/{path.name}", zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def written(parts: list[bytes], folder: Path, stem: str = "s") -> list[Path]:
    folder.mkdir(exist_ok=True)
    names = [*(f"{stem}.z{number:02d}" for number in range(1, len(parts))), f"{stem}.zip"]
    for name, data in zip(names, parts, strict=True):
        (folder / name).write_bytes(data)
    return [folder / name for name in names]


def check(packed: io.IOBase, files: Path) -> None:
    with zipfile.ZipFile(packed) as archive:  # type: ignore[call-overload]
        found = {Path(info.filename).name: archive.read(info) for info in archive.infolist() if not info.is_dir()}
    assert found == {path.name: path.read_bytes() for path in files.iterdir()}


def joins_plainly(paths: list[Path]) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(b"".join(path.read_bytes() for path in paths))) as plain:
            return plain.testzip() is None
    except zipfile.BadZipFile:
        return False


def ordered(folder: Path) -> list[Path]:
    return sorted(folder.glob("s.z*"), key=lambda path: (path.suffix == ".zip", path.name))


@needs_zip
@pytest.mark.parametrize("options", [[], ["-fz"], ["-0"]])
def test_what_the_zip_tool_splits_is_read(files: Path, tmp_path: Path, options: list[str]):
    """The tool is the reference: `zip -s`, also with zip64 forced."""
    subprocess.run(
        ["zip", "-q", "-r", *options, "-s", "64k", str(tmp_path / "s.zip"), files.name], cwd=tmp_path, check=True
    )
    paths = ordered(tmp_path)
    assert len(paths) > 3
    assert not joins_plainly(paths)
    check(open_parts(paths), files)


@needs_zip
def test_a_directory_over_several_parts_is_read(tmp_path: Path):
    """Thousands of small files: the central directory itself is cut."""
    many = tmp_path / "many"
    many.mkdir()
    for number in range(1500):
        (many / f"a-rather-long-name-to-fill-the-directory-{number}").write_bytes(b"%d" % number)
    subprocess.run(["zip", "-q", "-r", "-s", "64k", str(tmp_path / "s.zip"), "many"], cwd=tmp_path, check=True)
    paths = ordered(tmp_path)
    assert (paths[-1].stat().st_size < 100_000) & (len(paths) > 3)
    check(open_parts(paths), many)


@needs_zip
@pytest.mark.parametrize("count", [2, 3, 8])
def test_what_is_split_here_the_zip_tool_joins(files: Path, tmp_path: Path, count: int):
    paths = written(split_zip(zipped(files), count), tmp_path / "split")
    subprocess.run(["zip", "-q", "-s", "0", "s.zip", "--out", "joined.zip"], cwd=tmp_path / "split", check=True)
    check(io.BytesIO((tmp_path / "split" / "joined.zip").read_bytes()), files)
    check(open_parts(paths), files)


def test_more_parts_than_bytes_to_fill_them(files: Path, tmp_path: Path):
    (files / "text.txt").rename(tmp_path / "text.txt")
    for path in files.iterdir():
        path.unlink()
    (tmp_path / "text.txt").rename(files / "text.txt")
    check(open_parts(written(split_zip(zipped(files), 30), tmp_path / "split")), files)


def test_plain_byte_splits_are_concatenated(files: Path, tmp_path: Path):
    whole = zipped(files)
    paths = [tmp_path / f"x.zip.{number:03d}" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(whole[number * len(whole) // 4 : (number + 1) * len(whole) // 4])
    assert open_parts(paths).read() == whole
    check(open_parts(paths), files)


def test_reading_across_borders_equals_reading_the_whole(tmp_path: Path):
    generator = np.random.default_rng(0)
    pieces = [generator.bytes(int(size)) for size in (0, 5, 1, 0, 300, 7)]
    paths = [tmp_path / str(number) for number in range(len(pieces))]
    for path, piece in zip(paths, pieces, strict=True):
        path.write_bytes(piece)
    joined, whole = open_parts(paths), io.BytesIO(b"".join(pieces))
    for _ in range(200):
        place, size = int(generator.integers(0, 320)), int(generator.integers(0, 320))
        assert joined.seek(place) == whole.seek(place)
        assert joined.read(size) == whole.read(size)
    assert joined.seek(-3, io.SEEK_END) == whole.seek(-3, io.SEEK_END)
    assert joined.read() == whole.read()


@pytest.mark.parametrize("fault", ["a part less", "no end record", "cut", "order"])
def test_incomplete_parts_are_refused(files: Path, tmp_path: Path, fault: str):
    paths = written(split_zip(zipped(files), 4), tmp_path / "split")
    if fault == "a part less":
        del paths[1]
    elif fault == "order":
        paths[1:3] = paths[2:0:-1]
    else:
        data = paths[-1].read_bytes()
        paths[-1].write_bytes(data[:-30] if fault == "cut" else data.replace(b"PK\x05\x06", b"PK\x05\x07"))
    with pytest.raises((zipfile.BadZipFile, zlib.error)):
        check(open_parts(paths), files)


def test_mutated_split_zips_never_crash_hang_or_leave_the_folder(files: Path, tmp_path: Path):
    """Through the installation, as fetched parts go; half of the changes are in the directory of the last part."""
    (files / "text.txt").write_text("short")
    for path in sorted(files.glob("*.bin"))[3:]:
        path.unlink()
    unit = Unit("s.zip", (Archive("s.z01", "", part_of="s.zip"), Archive("s.zip", "", part_of="s.zip")))
    generator = np.random.default_rng(0)
    whole = split_zip(zipped(files), 2)
    outcomes = {"unpacked": 0, "refused": 0}
    for number in range(120):
        data = [bytearray(part) for part in whole]
        for _ in range(int(generator.integers(1, 5))):
            part = data[number % 2]
            start = len(part) - 400 if number % 2 else 0
            place = int(generator.integers(start, len(part) - 8))
            part[place : place + 4] = [b"\xff" * 4, generator.bytes(4), b"", bytes(4)][generator.integers(4)]
        paths = written([bytes(part) for part in data], tmp_path / "split")
        try:
            install(unit, paths, tmp_path / "data", "files")
            outcomes["unpacked"] += 1
        except DataError as error:
            outcomes["refused" if "\n" not in str(error) else "several lines"] += 1
        shutil.rmtree(tmp_path / "data")
    assert set(outcomes) == {"unpacked", "refused"}
    assert min(outcomes.values()) > 0
    assert {path.name for path in tmp_path.iterdir()} == {"files", "split"}
