"""Stand-ins on disk: written whole or not at all, and again when the code that writes them changes.

A stand-in takes the way of the real data: written in the official layout, packed as the official archives, verified, joined,
unpacked and put in place by the code that does so for what `benchmark fetch` downloads.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import filelock

from benchmark.artifacts import storage_errors, write_json
from benchmark.corpus.archives import install, units, verify
from benchmark.corpus.pack import left_over, pack_standin
from benchmark.corpus.scan import standin_fingerprint
from benchmark.records import Dataset

_MARKER = ".standin.json"
"""Written last; hidden, so that readers of the official layout do not see it."""


def ensure_standin(dataset: Dataset, folder: Path, seed: int = 0) -> None:
    """Write the dataset's stand-in to ``folder`` unless the one there is of the present seed and code.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    fingerprint = standin_fingerprint(dataset, seed)
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.with_name(f".{folder.name}.lock")):
            if _written(folder) != fingerprint:
                _write(dataset, folder, seed, fingerprint)


def _written(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / _MARKER).read_text(encoding="utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError):
        return None


def _write(dataset: Dataset, folder: Path, seed: int, fingerprint: str) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        layout = Path(temporary, "layout")
        layout.mkdir()
        dataset.write_standin(layout, seed)
        fresh = _through_archives(dataset, layout, Path(temporary))
        write_json(fresh / _MARKER, {"fingerprint": fingerprint})
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)


def _through_archives(dataset: Dataset, layout: Path, work: Path) -> Path:
    """The dataset's folder as it comes out of its archives; what no archive holds is taken as its user would supply it."""
    packed, root = work / "archives", work / "data"
    for unit in units(pack_standin(dataset, layout, packed)):
        paths = [packed / part.file for part in unit.parts]
        for part, file in zip(unit.parts, paths, strict=True):
            verify(file, part)
        install(unit, paths, root, dataset.folder)
    for path in left_over(dataset, layout):
        target = root / dataset.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (layout / path).rename(target)
    return root / dataset.folder
