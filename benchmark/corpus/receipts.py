"""What `benchmark fetch` has done with a dataset, kept beside the archives so that nothing finished is done twice."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from benchmark.artifacts import read_json, write_json
from benchmark.corpus.archives import Unit, in_place, units
from benchmark.records import Archive, Dataset

ARCHIVES = "archives"
"""Folder below the data root that holds archives, ours and the user's, and the receipts."""


@dataclass
class Receipt:
    """The receipt of one dataset, ``<data root>/archives/<dataset>.json``."""

    pins: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Size and checksum of files whose record states none, each with its ``source``."""
    downloaded: list[str] = field(default_factory=list)
    """Archives that were downloaded here; only they are deleted once unpacked."""
    installed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Units in place: ``checksums`` of their archives and the topmost ``paths``."""
    begun: bool = False
    """Whether archives are being, or were, installed: what lies in the dataset's folder then is not the user's own."""
    own: str = ""
    """For a folder that the user brought: what it was checked against."""

    @classmethod
    def read(cls, data: Path, dataset: str) -> Receipt:
        """The receipt of a dataset; an empty one where there is none."""
        path = receipt_path(data, dataset)
        return cls(**read_json(path)) if path.exists() else cls()

    def write(self, data: Path, dataset: str) -> None:
        """Write it atomically."""
        write_json(receipt_path(data, dataset), asdict(self))

    def pinned(self, archive: Archive) -> Archive:
        """The archive's record, completed by what was pinned."""
        pin = self.pins.get(archive.file, {})
        if archive.md5 or archive.sha256:
            return archive
        return replace(
            archive,
            bytes=archive.bytes if archive.bytes is not None else pin.get("bytes"),
            md5=pin.get("md5"),
            sha256=pin.get("sha256"),
        )

    def has(self, unit: Unit, data: Path) -> bool:
        """Whether the unit is in place and of the archives that the record names now."""
        entry = self.installed.get(unit.name)
        if entry is None or not in_place(data, entry["paths"]):
            return False
        found = dict(zip([part.file for part in unit.parts], entry["checksums"], strict=False))
        return all(_agrees(found.get(part.file, ""), part) for part in unit.parts)


def _agrees(checksum: str, archive: Archive) -> bool:
    name, _, value = checksum.partition(":")
    wanted = {"md5": archive.md5, "sha256": archive.sha256}.get(name)
    return bool(value) and (wanted is None or wanted.lower() == value)


def receipt_path(data: Path, dataset: str) -> Path:
    """Where the receipt of a dataset lies or would lie."""
    return data / ARCHIVES / f"{dataset}.json"


def raw_state(dataset: Dataset, data: Path) -> tuple[Literal["absent", "partial", "present"], list[Unit]]:
    """Whether the raw data is there, and the units still to be fetched.

    A folder that was not made here counts as present: that it is whole is for its reader to say.
    """
    receipt = Receipt.read(data, dataset.id)
    missing = [unit for unit in units(dataset.archives) if not receipt.has(unit, data)]
    if not has_files(data / dataset.folder):
        return ("partial" if receipt.begun else "absent"), missing
    if receipt.begun:
        return ("partial" if missing else "present"), missing
    return "present", []


def has_files(folder: Path) -> bool:
    """Whether a folder holds anything that is not hidden."""
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())
