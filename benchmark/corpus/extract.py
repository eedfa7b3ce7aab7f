"""Safe extraction of what comes from outside: zips and tars whose members can only become files below one folder.

Links, devices and paths that leave the folder are refused; a link to a file unpacked before it becomes a copy. The number of
members and of bytes is bounded by the size of the archive. Nothing is executed, no permission bits are taken over.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import posixpath
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Literal, cast

from benchmark.artifacts import storage_errors
from benchmark.errors import BenchmarkError, DataError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

RATIO = 30
"""Unpacked bytes a packed byte; audio reaches 10, tables of labels 20."""
FLOOR = 256 << 20
"""Bytes that any archive may unpack to, however small it is."""
MEMBERS = 10_000
"""Members that any archive may have; larger ones may have one a :data:`MEMBER_BYTES` packed bytes more."""
MEMBER_BYTES = 64

Advance = Callable[[int], object]
"""Told the number of bytes just handled, as a progress bar's ``update``."""

_BLOCK = 1 << 20
_LONGEST_HEADER = 64 << 20
_LATEST = 0xFFFFFFFF  # seconds since 1970 that every file system can hold
_UNREADABLE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,  # also UnicodeError
    KeyError,
    IndexError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # an encrypted member; RecursionError
    OverflowError,
    MemoryError,
)


@dataclass(frozen=True)
class Member:
    """One member of an archive."""

    name: str
    kind: Literal["file", "folder", "link", "other"]
    size: int
    seconds: float
    """Time of change, in seconds since 1970."""
    open: Callable[[], IO[bytes] | None]
    target: str = ""
    """What a link points to, from the top of the archive."""


def is_archive(name: str) -> bool:
    """Whether a file of that name is unpacked; any other is placed as it is."""
    return name.lower().endswith(SUFFIXES)


def extract(packed: BinaryIO, name: str, size: int, folder: Path, advance: Advance | None = None) -> int:
    """Unpack an archive into ``folder``, which must be empty and ours alone.

    Args:
        packed: the archive, readable and seekable.
        name: its name, whose suffix says what it is; also for messages.
        size: its bytes, from which the bounds follow.
        folder: everything is written below it.
        advance: called with the number of bytes just written.

    Returns:
        How many files were written.

    Raises:
        DataError: it is damaged, empty, unsafe or far larger than it should be; one sentence that names it.
        StorageError: the disk is full or cannot be written.
    """
    budget = _Budget(name, size)
    with _readable(name):
        members = _zip_members(packed, budget) if name.lower().endswith(".zip") else _tar_members(packed, name)
        for member in members:
            budget.member()
            _write(member, folder, name, budget, advance or _ignore)
    if budget.files == 0:
        raise DataError(f"{name} holds no file; delete it and fetch it again.")
    return budget.files


class _Budget:
    """How much an archive may still unpack to."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.bytes_left = max(FLOOR, RATIO * size)
        self.members_left = MEMBERS + size // MEMBER_BYTES
        self.files = 0

    def member(self) -> None:
        """Count a member."""
        self.members_left -= 1
        if self.members_left < 0:
            raise DataError(f"{self.name} has far more members than its size explains; it is refused as a bomb.")

    def bytes(self, count: int) -> None:
        """Count bytes unpacked."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise DataError(f"{self.name} unpacks to far more than its size explains; it is refused as a bomb.")


class _Unpacked(io.RawIOBase):
    """The stream below a tar. It counts what the decompressor gives, so that not even a header can be a bomb."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._left = _LONGEST_HEADER

    def allow(self, size: int) -> None:
        """Let the next ``size`` bytes pass, and what a header may have."""
        self._left = size + _LONGEST_HEADER

    def read(self, size: int = -1) -> bytes:
        """Read ``size`` bytes, fewer only at the end."""
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise DataError(f"{self._name} has a header of unreasonable size; it is refused as a bomb.")
        return data


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn whatever a damaged archive provokes into one sentence."""
    try:
        yield
    except BenchmarkError:
        raise
    except _UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{name} cannot be unpacked ({reason[:200]}); delete it and fetch it again.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise DataError(f"{name} cannot be unpacked ({error}); delete it and fetch it again.") from error


def _zip_members(packed: BinaryIO, budget: _Budget) -> Iterator[Member]:
    with zipfile.ZipFile(packed) as archive:
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > budget.bytes_left:
            budget.bytes(budget.bytes_left + 1)
        for info in infos:
            yield _zip_member(archive, info)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    name = _zip_name(info)
    mode = info.external_attr >> 16 if info.create_system == 3 else 0  # Unix: the upper half is st_mode
    kind: Literal["file", "folder", "link", "other"] = "file"
    target = ""
    if name.endswith("/") or stat.S_ISDIR(mode):
        kind = "folder"
    elif stat.S_ISLNK(mode):
        kind = "link"
        if info.file_size < 4096:
            target = posixpath.join(posixpath.dirname(name), archive.read(info).decode("utf-8", "replace"))
    elif stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        kind = "other"
    try:
        seconds = datetime(*info.date_time, tzinfo=UTC).timestamp()
    except ValueError:
        seconds = 0.0
    return Member(name, kind, info.file_size, seconds, lambda: archive.open(info), target)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name; without the flag for UTF-8 it is that all the same where it parses as such, else code page 437."""
    name = info.filename
    if not info.flag_bits & 0x800:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return name.replace("\\", "/")


def _tar_members(packed: BinaryIO, name: str) -> Iterator[Member]:
    with _decompressed(packed, name) as stream:
        unpacked = _Unpacked(stream, name)
        with tarfile.open(fileobj=unpacked, mode="r|") as archive:
            while (info := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # else it keeps every member's record to the end
                unpacked.allow(info.size)
                yield _tar_member(archive, info)
                unpacked.allow(0)


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    kind: Literal["file", "folder", "link", "other"] = "other"
    target = ""
    if info.isreg():
        kind = "file"
    elif info.isdir():
        kind = "folder"
    elif info.islnk():
        kind, target = "link", _text(info.linkname)
    elif info.issym():
        kind, target = "link", posixpath.join(posixpath.dirname(_text(info.name)), _text(info.linkname))
    return Member(_text(info.name), kind, info.size, float(info.mtime), lambda: archive.extractfile(info), target)


def _text(name: str) -> str:
    """A name whose bytes are not UTF-8, read as Latin-1."""
    raw = name.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@contextmanager
def _decompressed(packed: BinaryIO, name: str) -> Iterator[IO[bytes]]:
    lower = name.lower()
    if lower.endswith((".gz", ".tgz")):
        with gzip.open(packed) as unzipped:
            yield cast(IO[bytes], unzipped)
    elif lower.endswith(".bz2"):
        with bz2.open(packed) as stream:
            yield stream
    elif lower.endswith(".xz"):
        with lzma.open(packed) as stream:
            yield stream
    else:
        yield packed


def _write(member: Member, folder: Path, archive: str, budget: _Budget, advance: Advance) -> None:
    path = safe_path(member.name, archive)
    target = folder / path
    if member.kind == "folder":
        with _inside(member, archive):
            target.mkdir(parents=True, exist_ok=True)
        return
    if path == PurePosixPath():
        raise DataError(f"{archive} has a file without a name; delete it and fetch it again.")
    source = _content(member, folder, archive)
    with _inside(member, archive):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # where a member occurs twice, the last one counts
        with source, target.open("xb") as file:
            _copy(source, file, target, budget, advance)
    budget.files += 1
    with storage_errors(target):
        _set_time(target, member.seconds)


def _content(member: Member, folder: Path, archive: str) -> IO[bytes]:
    """What the member holds; a link, only to a file that was unpacked before it, holds what that one does."""
    if member.kind == "link":
        path = safe_path(posixpath.normpath(member.target), archive)
        if (folder / path).is_file():
            return (folder / path).open("rb")
    content = member.open() if member.kind == "file" else None
    if content is None:
        what = "link to something outside or not yet unpacked" if member.kind == "link" else "device or pipe"
        raise DataError(f"{archive} has a {what}, {_shown(member.name)}; it is refused, take it from another source.")
    return content


def _copy(source: IO[bytes], file: BinaryIO | IO[bytes], target: Path, budget: _Budget, advance: Advance) -> None:
    while block := source.read(_BLOCK):
        budget.bytes(len(block))
        with storage_errors(target):
            file.write(block)
        advance(len(block))


@contextmanager
def _inside(member: Member, archive: str) -> Iterator[None]:
    """Say in one sentence that a member is a file in one place of the archive and a folder in another."""
    with storage_errors(Path(member.name)):
        try:
            yield
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise DataError(
                f"{archive} has {_shown(member.name)} both as a file and as a folder; delete it and fetch it again."
            ) from error


def _set_time(path: Path, seconds: float) -> None:
    moment = min(max(0.0, seconds), _LATEST)
    os.utime(path, (moment, moment))


def safe_path(name: str, archive: str) -> PurePosixPath:
    """A member's path below the folder it is unpacked to.

    Raises:
        DataError: it would leave the folder, or no file system can hold it.
    """
    parts = [part for part in name.split("/") if part not in {"", "."}]
    reason = ""
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        reason = "an absolute path"
    elif ".." in parts:
        reason = "a path out of the folder"
    elif any(ord(character) < 32 or ord(character) == 127 for character in name):
        reason = "control characters in a name"
    elif len(name) > 1000 or len(parts) > 64 or any(len(part.encode()) > 255 for part in parts):
        reason = "a name too long"
    if reason:
        raise DataError(f"{archive} has {reason}, {_shown(name)}; it is refused, take it from another source.")
    return PurePosixPath(*parts)


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:77]}...")


def _ignore(count: int) -> None:
    return None
