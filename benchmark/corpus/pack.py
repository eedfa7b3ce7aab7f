"""Stand-in archives: a stand-in's folder packed as its dataset is distributed, so that fetching and unpacking are exercised."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import itertools
import lzma
import re
import tarfile
import zipfile
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from benchmark.corpus.archives import Unit, units
from benchmark.corpus.extract import is_archive
from benchmark.corpus.layout import walk
from benchmark.corpus.parts import END_SIGNATURE, SPLIT_SIGNATURE, Entry, end_record, entries
from benchmark.errors import DataError
from benchmark.records import Archive, Dataset

_LONGEST_HEADER = 30 + 1000  # bytes of a local header, with the longest name that is unpacked
_WORTH_COMPRESSING = 1 << 16  # bytes; synthetic audio hardly shrinks, and packing it would take longer than writing it
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say; archives are the same to the byte


def pack_standin(dataset: Dataset, folder: Path, out: Path) -> tuple[Archive, ...]:
    """Pack a stand-in as the dataset's record says that the real one is packed.

    Each archive holds what its ``holds`` match; a file that several match goes to them in turn. Archives that match nothing
    are not written.

    Args:
        dataset: the record.
        folder: the stand-in, in the official layout.
        out: folder that the archives are written to, under their official names.

    Returns:
        The records of the archives written, with their own sizes and checksums and without addresses.

    Raises:
        DataError: a file is held by no archive of a dataset that is downloaded whole.
    """
    out.mkdir(parents=True, exist_ok=True)
    written: list[Archive] = []
    for unit, paths in _shares(dataset, folder).items():
        members = [(PurePosixPath(dataset.folder, path), folder / path) for path in paths]
        for archive, data in zip(unit.parts, _parts(unit, members), strict=True):
            (out / archive.file).write_bytes(data)
            sha256 = hashlib.sha256(data).hexdigest()
            written.append(replace(archive, url="", mirrors=(), zenodo=None, bytes=len(data), md5=None, sha256=sha256))
    return tuple(written)


def left_over(dataset: Dataset, folder: Path) -> list[str]:
    """The files that no archive holds: what the user of the real dataset supplies by hand."""
    shared = {path for paths in _shares(dataset, folder).values() for path in paths}
    return sorted(file.path for file in walk(folder) if file.path not in shared)


def _shares(dataset: Dataset, folder: Path) -> dict[Unit, list[str]]:
    """The files that each unit holds, by their path below ``folder``; units without any are left out."""
    all_units = units(dataset.archives)
    shares: dict[Unit, list[str]] = {}
    turns: dict[tuple[Unit, ...], int] = {}
    for path in sorted(file.path for file in walk(folder)):
        holders = tuple(unit for unit in all_units if _holds(unit, dataset.folder, path))
        if holders:
            turn = turns[holders] = turns.get(holders, -1) + 1
            shares.setdefault(holders[turn % len(holders)], []).append(path)
        elif dataset.archives and dataset.access == "open":
            raise DataError(f"No archive of {dataset.id} holds {path}; complete `holds` in its record.")
    return {unit: shares[unit] for unit in all_units if unit in shares}


def _holds(unit: Unit, folder: str, path: str) -> bool:
    if not is_archive(unit.name):
        return PurePosixPath(unit.into, unit.name) == PurePosixPath(folder, path)
    return any(re.fullmatch(_regex(pattern), path) for part in unit.parts for pattern in part.holds)


def _regex(pattern: str) -> str:
    """A glob pattern as a regular expression: ``**`` crosses folders, ``*``, ``?`` and ``[a-f]`` do not."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    known |= {piece: piece for piece in pieces if piece.startswith("[")}
    return "".join(known.get(piece) or re.escape(piece) for piece in pieces)


def _parts(unit: Unit, members: list[tuple[PurePosixPath, Path]]) -> list[bytes]:
    """The bytes of each of the unit's files."""
    if not is_archive(unit.name):
        ((_, source),) = members
        return _cut(source.read_bytes(), len(unit.parts))
    named = [(path.relative_to(unit.into).as_posix(), source) for path, source in members]
    whole = _zip(named) if unit.name.endswith(".zip") else _tar(unit.name, named)
    return split_zip(whole, len(unit.parts)) if unit.split_zip else _cut(whole, len(unit.parts))


def _zip(members: Sequence[tuple[str, Path]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, source in members:
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = 0o644 << 16
            data = source.read_bytes()
            method = zipfile.ZIP_DEFLATED if len(data) <= _WORTH_COMPRESSING else zipfile.ZIP_STORED
            archive.writestr(info, data, method, compresslevel=1)
    return buffer.getvalue()


def _tar(name: str, members: Sequence[tuple[str, Path]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, source in members:
            info = tarfile.TarInfo(member)
            info.size = source.stat().st_size
            with source.open("rb") as file:
                archive.addfile(info, file)
    if name.endswith((".gz", ".tgz")):
        return gzip.compress(buffer.getvalue(), compresslevel=0, mtime=0)
    if name.endswith(".bz2"):
        return bz2.compress(buffer.getvalue(), compresslevel=1)
    return lzma.compress(buffer.getvalue(), preset=0) if name.endswith(".xz") else buffer.getvalue()


def _cut(data: bytes, count: int) -> list[bytes]:
    """``data`` in ``count`` pieces of about one size."""
    bounds = [len(data) * number // count for number in range(count + 1)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def split_zip(whole: bytes, count: int) -> list[bytes]:
    """A zip as the ``count`` parts of a split zip: places count from the start of a part, and no local header is cut."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        start = archive.start_dir
    end = whole.rindex(END_SIGNATURE)
    found = list(entries(whole[start:end]))
    body = SPLIT_SIGNATURE + whole[:start]
    headers = [entry.offset + len(SPLIT_SIGNATURE) for entry in found]
    cuts = [_before_header(len(body) * number // count, headers) for number in range(count)]
    moved = [_on_disk(entry, place, cuts) for entry, place in zip(found, headers, strict=True)]
    directory = b"".join(entry.pack() for entry in moved)
    pieces = [body[begin:stop] for begin, stop in zip(cuts, [*cuts[1:], len(body)], strict=True)]
    of_last = sum(entry.disk == count - 1 for entry in moved)
    tail = end_record(count - 1, of_last, len(moved), len(directory), offset=len(pieces[-1]))
    return [*pieces[:-1], pieces[-1] + directory + tail]


def _before_header(cut: int, headers: list[int]) -> int:
    """The last place at or before ``cut`` that is not inside a local header (30 bytes, name and extra fields)."""
    before = max((header for header in headers if header <= cut), default=0)
    return before if before > 0 and cut - before < _LONGEST_HEADER else cut


def _on_disk(entry: Entry, place: int, cuts: list[int]) -> Entry:
    disk = bisect_right(cuts, place) - 1
    return replace(entry, disk=disk, offset=place - cuts[disk])
