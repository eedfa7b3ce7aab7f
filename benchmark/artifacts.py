"""Files that survive a crash: atomic writes, canonical hashes, and a cache that is never half-written or stale.

A cache entry is one safetensors file: named tensors, a JSON record in its header and a checksum of the tensors. Nothing is
ever unpickled. Entries are keyed by a hash of everything that determines their content.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from numpy.typing import NDArray

from benchmark.errors import CorruptArtifactError, StaleArtifactError, StorageError

Arrays = dict[str, NDArray[Any]]
_NOT_WRITABLE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS),
    *(errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR),
}


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(value: Any) -> str:
    """32 hexadecimal digits that identify a JSON-able ``value``."""
    return hashlib.blake2b(canonical_json(value).encode(), digest_size=16).hexdigest()


def hash_arrays(arrays: Mapping[str, NDArray[Any]]) -> str:
    """32 hexadecimal digits of names, types, shapes and bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """32 hexadecimal digits of a file's bytes."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_path(path: Path, durable: bool = True) -> Iterator[Path]:
    """A temporary sibling of ``path`` that replaces it when the block ends well and vanishes when it does not.

    Args:
        path: what is written.
        durable: wait until the disk holds it, so that a power cut cannot leave an empty file under its name.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            if durable:
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into one sentence that names ``path``.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NOT_WRITABLE:
            raise StorageError(
                f"Cannot write {path}: {os.strerror(error.errno)}; "
                "free space or permissions and run the same command again."
            ) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write ``text`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` atomically as indented JSON with sorted keys."""
    write_text(path, json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parse a JSON file of ours.

    Raises:
        StaleArtifactError: the file does not exist.
        CorruptArtifactError: it does not parse.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StaleArtifactError(
            f"{path} does not exist; run `dvc repro` so that the stage before makes it."
        ) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorruptArtifactError(
            f"{path} is not readable JSON ({error}); delete it and run the same command again."
        ) from error


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any], durable: bool = True
) -> str:
    """Write named arrays and a JSON ``record`` atomically as one safetensors file; returns the arrays' hash."""
    from safetensors.numpy import save_file

    checked = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    checksum = hash_arrays(checked)
    # one key, because safetensors writes several in random order
    header = {"content": canonical_json({"record": record, "checksum": checksum})}
    with atomic_path(path, durable) as temporary:
        try:
            save_file(checked, str(temporary), metadata=header)
        except Exception as error:  # safetensors wraps the operating system's error in one of its own
            if "No space left" in str(error) or "File too large" in str(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise
    return checksum


def read_arrays(path: Path, expected: Mapping[str, Any] | None = None) -> tuple[Arrays, dict[str, Any]]:
    """Read what :func:`write_arrays` wrote, checking the checksum and that its record holds the ``expected`` items.

    Raises:
        StaleArtifactError: the file does not exist or belongs to another configuration.
        CorruptArtifactError: truncated, altered or not ours.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            header = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        content = json.loads(header["content"])
        record, checksum = content["record"], content["checksum"]
    except FileNotFoundError as error:
        raise StaleArtifactError(
            f"{path} does not exist; run `dvc repro` so that the stage before makes it."
        ) from error
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise CorruptArtifactError(f"{path} is damaged ({error}); delete it and run the same command again.") from error
    if hash_arrays(arrays) != checksum:
        raise CorruptArtifactError(f"{path} fails its checksum; delete it and run the same command again.")
    for key, value in (expected or {}).items():
        if record.get(key) != value:
            raise StaleArtifactError(
                f"{path} was made for {key}={record.get(key)!r}, not {value!r}; delete it and run the same command again."
            )
    return arrays, record


class Cache:
    """Finished work, outside the stages' outputs, keyed by a hash of configuration, code and data.

    Layout: ``root/<kind>/<key>.safetensors``, its lock in ``<key>.lock``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: str, key: str) -> Path:
        """Where the entry lies or would lie."""
        return self.root / kind / f"{key}.safetensors"

    def get(self, kind: str, key: str) -> tuple[Arrays, dict[str, Any]] | None:
        """The entry's arrays and record, or None where there is none; a damaged entry raises CorruptArtifactError."""
        path = self.path(kind, key)
        return read_arrays(path, {"key": key}) if path.exists() else None

    def put(
        self,
        kind: str,
        key: str,
        arrays: Mapping[str, NDArray[Any]],
        record: Mapping[str, Any] | None = None,
        durable: bool = True,
    ) -> None:
        """Store an entry atomically; see :func:`atomic_path`."""
        write_arrays(self.path(kind, key), arrays, {**(record or {}), "key": key}, durable)

    @contextmanager
    def lock(self, kind: str, key: str) -> Iterator[None]:
        """Hold the entry for this process; a second process waits, and the operating system frees it if we are killed."""
        path = self.path(kind, key).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path):
            yield
