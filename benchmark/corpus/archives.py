"""A dataset's archives once they are on this machine: verified, joined, unpacked and put in place, each exactly once."""

from __future__ import annotations

import filecmp
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

from benchmark.artifacts import storage_errors
from benchmark.corpus.extract import Advance, extract, is_archive
from benchmark.corpus.parts import open_parts
from benchmark.errors import DataError
from benchmark.records import Archive

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Unit:
    """What is unpacked at once: an archive, or one in parts, or a file that is placed as it is."""

    name: str
    parts: tuple[Archive, ...]

    @property
    def into(self) -> str:
        """Folder below the data root to unpack to."""
        return self.parts[0].into

    @property
    def split_zip(self) -> bool:
        """Whether the parts are those of a split zip and not plain byte splits."""
        return any(re.search(r"\.z\d+$", part.file) for part in self.parts)


def units(archives: Sequence[Archive]) -> tuple[Unit, ...]:
    """The archives grouped by what they are parts of, in the order of the record."""
    groups: dict[str, list[Archive]] = {}
    for archive in archives:
        groups.setdefault(archive.part_of or archive.file, []).append(archive)
    return tuple(Unit(name, tuple(parts)) for name, parts in groups.items())


class WrongFileError(DataError):
    """A file is not the published one."""


def verify(path: Path, archive: Archive, advance: Advance | None = None) -> str:
    """Check a file against its record and return its checksum as ``<algorithm>:<hexadecimal digits>``.

    Where the record has no checksum the sha256 is returned, so that a later change can be seen.

    Raises:
        WrongFileError: size or checksum differ; one sentence with both.
    """
    size = path.stat().st_size
    if archive.bytes is not None and size != archive.bytes:
        raise WrongFileError(
            f"{archive.file} has {size:,} bytes where {archive.bytes:,} are published; fetch it again."
        )
    wanted = {name: value for name, value in (("sha256", archive.sha256), ("md5", archive.md5)) if value}
    found = checksums(path, tuple(wanted) or ("sha256",), advance)
    for name, value in wanted.items():
        if found[name] != value.lower():
            raise WrongFileError(
                f"{archive.file} has the {name} {found[name]} where {value} is published; fetch it again."
            )
    name, value = next(iter(found.items()))
    return f"{name}:{value}"


def checksums(path: Path, names: Sequence[str], advance: Advance | None = None) -> dict[str, str]:
    """Checksums of a file, read once."""
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for digest in digests.values():
                digest.update(block)
            if advance:
                advance(len(block))
    return {name: digest.hexdigest() for name, digest in digests.items()}


def install(unit: Unit, paths: Sequence[Path], root: Path, folder: str, advance: Advance | None = None) -> list[str]:
    """Unpack a unit and move what it holds to its place below ``root``.

    It is unpacked to a temporary folder first, so that nothing half-written ever lies in place. A file that is there already
    stays if it has the same bytes and stops the installation if it has others.

    Args:
        unit: what to install.
        paths: its files, verified, in the order of its parts.
        root: the data root.
        folder: the dataset's own top folder, which an archive of a code host may call by another name.
        advance: called with the number of bytes just unpacked.

    Returns:
        The topmost paths it put there, relative to ``root``, with forward slashes.

    Raises:
        DataError: it is damaged or unsafe, or would replace a file that differs.
        StorageError: the disk is full or cannot be written.
    """
    with storage_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=f".unpacking-{unit.name}-") as temporary:
            fresh = Path(temporary)
            if is_archive(unit.name):
                _unpack(unit, paths, fresh, advance)
                if not unit.into:
                    _rename_top(fresh, folder)
            else:
                _copy(paths, fresh / unit.name)
            return _move(fresh, root / unit.into, root, unit.name)


def _unpack(unit: Unit, paths: Sequence[Path], fresh: Path, advance: Advance | None) -> None:
    size = sum(path.stat().st_size for path in paths)
    try:
        with open_parts(paths) as packed:
            extract(packed, unit.name, size, fresh, advance)
    except BadZipFile as error:
        raise DataError(f"{unit.name} cannot be joined ({error}); delete its parts and fetch them again.") from error


def _rename_top(fresh: Path, folder: str) -> None:
    """Give the only top folder the dataset's name: code hosts call it after a commit or a branch."""
    tops = list(fresh.iterdir())
    if len(tops) == 1 and tops[0].is_dir() and tops[0].name != folder:
        tops[0].rename(fresh / folder)


def _copy(paths: Sequence[Path], target: Path) -> None:
    with target.open("wb") as file:
        for path in paths:
            with path.open("rb") as part:
                shutil.copyfileobj(part, file, _BLOCK)


def _move(fresh: Path, place: Path, root: Path, name: str) -> list[str]:
    """Move everything below ``fresh`` to ``place``; whole folders at once where there is nothing yet."""
    tops = [(place / path.name).relative_to(root).as_posix() for path in fresh.iterdir()]
    for source, target in list(_moves(fresh, place, name)):  # all are looked at before the first is made
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
    return sorted(tops)


def _moves(source: Path, target: Path, name: str) -> Iterator[tuple[Path, Path]]:
    """The moves that merge ``source`` into ``target``; identical files need none.

    Raises:
        DataError: a file is there that differs.
    """
    if not target.exists():
        yield source, target
    elif source.is_dir() and target.is_dir():
        for child in sorted(source.iterdir()):
            yield from _moves(child, target / child.name, name)
    elif source.is_dir() or target.is_dir() or not filecmp.cmp(source, target, shallow=False):
        raise DataError(
            f"{target} is there already and differs from the one in {name}; move it away and run the same command again."
        )


def in_place(root: Path, paths: Sequence[str]) -> bool:
    """Whether everything that :func:`install` put there still is."""
    return bool(paths) and all((root / path).exists() for path in paths)
