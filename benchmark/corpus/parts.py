"""Archives in several files, read as one without a copy on disk.

Plain byte splits (``x.zip.001``, ``x_partaa``) are the archive cut anywhere: joining is concatenation. A split zip (``x.z01`` ...
``x.zip``, as ``zip -s`` writes it) is not: its directory counts from the start of each part. Its directory is rewritten in
memory to count from the first byte. Field names are those of PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.4.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

SPLIT_SIGNATURE = b"PK\x07\x08"
"""First bytes of the first part of a split zip (8.5)."""
END_SIGNATURE = b"PK\x05\x06"

_END = struct.Struct("<4s4H2LH")  # 4.3.16: end of central directory record
_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15: zip64 end of central directory locator
_END64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14: zip64 end of central directory record
_ENTRY = struct.Struct("<4s6H3L5H2L")  # 4.3.12: central directory header, up to the file name
_SIZE, _OFFSET, _DISK = 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFF  # "see the zip64 extra field"
_LONGEST_COMMENT = 0xFFFF


class JoinedFile(io.RawIOBase):
    """Files one behind the other, read as one; closing it closes them."""

    def __init__(self, files: Sequence[BinaryIO], sizes: Sequence[int]) -> None:
        self._files = list(files)
        self._starts = [0, *accumulate(sizes)]
        self._position = 0

    @classmethod
    def of(cls, paths: Sequence[Path]) -> JoinedFile:
        """Open the files at ``paths``."""
        return cls([path.open("rb") for path in paths], [path.stat().st_size for path in paths])

    @property
    def starts(self) -> list[int]:
        """Where each file begins, and the end of the last."""
        return self._starts

    @property
    def files(self) -> list[BinaryIO]:
        """The files, in order."""
        return self._files

    def replace_from(self, position: int, tail: bytes) -> None:
        """Let ``tail`` take the place of everything from ``position`` on; the files are not changed."""
        kept = max(1, bisect_left(self._starts, position))
        for file in self._files[kept:]:
            file.close()
        self._files[kept:] = [io.BytesIO(tail)]
        self._starts[kept:] = [position, position + len(tail)]

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position in the whole, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to ``offset`` bytes from the start, the position or the end."""
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        if position < 0:
            raise ValueError(f"negative position {position}")
        self._position = position
        return position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read up to the end of the file that the position is in."""
        if self._position >= self._starts[-1]:
            return 0
        number = bisect_right(self._starts, self._position) - 1
        room = min(len(buffer), self._starts[number + 1] - self._position)
        self._files[number].seek(self._position - self._starts[number])
        data = self._files[number].read(room)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Close every file."""
        for file in self._files:
            file.close()
        super().close()


def open_parts(paths: Sequence[Path]) -> BinaryIO:
    """The archive whose parts lie at ``paths``, in order, as one readable and seekable file.

    Raises:
        BadZipFile: the parts look like a split zip whose directory cannot be read.
    """
    joined = JoinedFile.of(paths)
    try:
        if len(paths) > 1 and _read(joined, 0, 4) == SPLIT_SIGNATURE:
            _make_one_zip(joined)
    except struct.error as error:  # a place beyond 64 bits
        joined.close()
        raise BadZipFile(f"the split zip is damaged ({error})") from error
    except BaseException:
        joined.close()
        raise
    joined.seek(0)
    return io.BufferedReader(joined)


@dataclass(frozen=True)
class Entry:
    """One central directory header: what is kept as it is, and the place of the entry's data."""

    fields: tuple[int, ...]
    """``version made by`` ... ``external file attributes``, without signature, disk and offset."""
    name: bytes
    extra: bytes
    comment: bytes
    disk: int
    offset: int
    """From the start of the disk, in bytes."""

    def pack(self) -> bytes:
        """The header in bytes; an offset too large for 32 bits goes to the zip64 extra field."""
        head, between = self.fields[:9], self.fields[9:]
        extra, offset = self.extra, self.offset
        if offset >= _OFFSET:
            extra, offset = _with_offset(extra, offset), _OFFSET
        lengths = (len(self.name), len(extra), len(self.comment))
        header = _ENTRY.pack(b"PK\x01\x02", *head, *lengths, self.disk, *between, offset)
        return header + self.name + extra + self.comment


def entries(directory: bytes) -> Iterator[Entry]:
    """The headers of a central directory."""
    position = 0
    while position < len(directory):
        if len(directory) - position < _ENTRY.size or directory[position : position + 4] != b"PK\x01\x02":
            raise BadZipFile("the central directory of the split zip is damaged")
        _, *fields = _ENTRY.unpack_from(directory, position)
        ends = list(accumulate(fields[9:12], initial=position + _ENTRY.size))
        if ends[-1] > len(directory):
            raise BadZipFile("the central directory of the split zip is cut")
        name, extra, comment = (directory[start:end] for start, end in pairwise(ends))
        kept = (*fields[:9], *fields[13:15])
        yield _resolve(Entry(kept, name, extra, comment, fields[12], fields[15]))
        position = ends[-1]


def end_record(disk: int, of_disk: int, count: int, size: int, offset: int) -> bytes:
    """End record of a zip whose directory lies whole in part ``disk``: ``size`` bytes at ``offset``, for ``count`` entries."""
    return _END.pack(END_SIGNATURE, disk, disk, of_disk, count, size, offset, 0)


def _end_records64(directory: int, size: int, count: int) -> bytes:
    """End records, with zip64, of a zip in one file whose ``directory`` begins there and holds ``count`` entries."""
    end64 = _END64.pack(b"PK\x06\x06", _END64.size - 12, 45, 45, 0, 0, count, count, size, directory)
    locator = _LOCATOR.pack(b"PK\x06\x07", 0, directory + size, 1)
    return end64 + locator + end_record(0, _DISK, _DISK, _SIZE, _OFFSET)


def _make_one_zip(joined: JoinedFile) -> None:
    """Lay over the end of the file a directory that counts from the first byte of the first part."""
    disk, offset, size = _find_directory(joined)
    start = _place(joined, disk, offset)
    if start + size > joined.starts[-1]:
        raise BadZipFile("the split zip is cut: parts are missing")
    found = list(entries(_read(joined, start, size)))
    directory = b"".join(
        replace(entry, disk=0, offset=_place(joined, entry.disk, entry.offset)).pack() for entry in found
    )
    tail = directory + _end_records64(start, len(directory), len(found))
    joined.replace_from(start, tail)


def _find_directory(joined: JoinedFile) -> tuple[int, int, int]:
    """Disk, offset in it and size of the central directory."""
    end = joined.starts[-1]
    begin = max(0, end - _END.size - _LONGEST_COMMENT)
    tail = _read(joined, begin, end - begin)
    position = tail.rfind(END_SIGNATURE)
    if position < 0 or len(tail) - position < _END.size:
        raise BadZipFile("the last part of the split zip has no end record")
    _, _, disk, _, count, size, offset, _ = _END.unpack_from(tail, position)
    if disk != _DISK and count != _DISK and size != _SIZE and offset != _OFFSET:
        return disk, offset, size
    locator = position - _LOCATOR.size
    if locator < 0 or tail[locator : locator + 4] != b"PK\x06\x07":
        return disk, offset, size
    _, disk, offset, _ = _LOCATOR.unpack_from(tail, locator)
    record = _read(joined, _place(joined, disk, offset), _END64.size)
    if len(record) < _END64.size or record[:4] != b"PK\x06\x06":
        raise BadZipFile("the split zip has no zip64 end record where it says")
    *_, disk, _, _, size, offset = _END64.unpack(record)
    return disk, offset, size


def _place(joined: JoinedFile, disk: int, offset: int) -> int:
    if disk >= len(joined.files):
        raise BadZipFile(f"the split zip speaks of part {disk + 1} and there are {len(joined.files)}")
    return joined.starts[disk] + offset


def _read(joined: JoinedFile, position: int, size: int) -> bytes:
    joined.seek(position)
    blocks = []
    while size > 0 and (block := joined.read(size)):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, position)
        yield kind, extra[position + 4 : position + 4 + size]
        position += 4 + size


def _resolve(entry: Entry) -> Entry:
    """The entry with its disk and offset taken out of the zip64 extra field (4.5.3)."""
    packed, unpacked = entry.fields[7:9]
    others = b"".join(
        struct.pack("<2H", kind, len(data)) + data for kind, data in _extra_fields(entry.extra) if kind != 1
    )
    data = next((data for kind, data in _extra_fields(entry.extra) if kind == 1), b"")
    sizes = 8 * ((packed == _SIZE) + (unpacked == _SIZE))
    kept, rest = data[:sizes], data[sizes:]
    disk, offset = entry.disk, entry.offset
    if offset == _OFFSET and len(rest) >= 8:
        (offset,), rest = struct.unpack_from("<Q", rest), rest[8:]
    if disk == _DISK and len(rest) >= 4:
        (disk,) = struct.unpack_from("<L", rest)
    extra = (struct.pack("<2H", 1, len(kept)) + kept if kept else b"") + others
    return replace(entry, extra=extra, disk=disk, offset=offset)


def _with_offset(extra: bytes, offset: int) -> bytes:
    """The extra fields with ``offset`` behind the sizes in the zip64 one."""
    fields = list(_extra_fields(extra))
    sizes = next((data for kind, data in fields if kind == 1), b"")
    data = sizes + struct.pack("<Q", offset)
    others = b"".join(struct.pack("<2H", kind, len(data)) + data for kind, data in fields if kind != 1)
    return struct.pack("<2H", 1, len(data)) + data + others
