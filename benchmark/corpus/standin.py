"""Stand-ins on disk: written whole or not at all, and again when the code that writes them changes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from pathlib import Path

import filelock

from benchmark.artifacts import write_json
from benchmark.corpus.scan import standin_fingerprint
from benchmark.errors import StorageError
from benchmark.records import Dataset

_MARKER = ".standin.json"
"""Written last; hidden, so that readers of the official layout do not see it."""


def ensure_standin(dataset: Dataset, folder: Path, seed: int = 0) -> None:
    """Write the dataset's stand-in to ``folder`` unless the one there is of the present seed and code.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    fingerprint = standin_fingerprint(dataset, seed)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.with_name(f".{folder.name}.lock")):
            if _written(folder) != fingerprint:
                _write(dataset, folder, seed, fingerprint)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}:
            raise StorageError(f"Cannot write the stand-in {folder}: {os.strerror(error.errno)}.") from error
        raise


def _written(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / _MARKER).read_text(encoding="utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError):
        return None


def _write(dataset: Dataset, folder: Path, seed: int, fingerprint: str) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        fresh = Path(temporary) / folder.name
        fresh.mkdir()
        dataset.write_standin(fresh, seed)
        write_json(fresh / _MARKER, {"fingerprint": fingerprint})
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)
