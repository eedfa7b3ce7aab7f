"""Clips appended to shards, with a journal beside them, so that a killed preparation goes on after its last whole clip.

The journal's first line is a hash of all that the samples depend on but the raw files; then each line is a clip, written after
its samples: path, size and time of change of its raw file, samples, clipped samples, checksum. Whoever resumes reads the
samples back against their checksums, and goes on at the first clip that is not there, damaged or of a raw file that changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmark.artifacts import canonical_json, content_hash, storage_errors
from benchmark.corpus.chunks import Decoded, Source
from benchmark.corpus.store import checksum

JOURNAL = "journal.jsonl"


class ShardWriter:
    """Clips end to end in ``folder``, in shards of at most ``shard_bytes`` that cut none; a larger clip has one to itself.

    Args:
        folder: holds the shards and the journal; what an interrupted writer left there is gone on with.
        key: a journal of another key is not used.
        shard_bytes: largest shard.
    """

    def __init__(self, folder: Path, key: str, shard_bytes: int) -> None:
        self.folder = folder
        self.shards: list[dict[str, Any]] = []
        self.samples: list[int] = []
        self.clipped: list[int] = []
        self.checksums: list[str] = []
        self._key = key
        self._shard_bytes = shard_bytes
        self._bytes = self._clips = 0  # of the present shard

    @property
    def content(self) -> str:
        """Hash of all samples of all clips, by way of the clips' checksums."""
        return content_hash(self.checksums)

    def resume(self, files: Sequence[Source]) -> int:
        """Take over those of the first ``files`` that an interrupted writer has finished; returns how many.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        kept = 0  # bytes of the journal
        for file, (line, entry) in zip(files, self._entries(), strict=False):
            if entry[:3] != [*file]:
                break
            samples, clipped, expected = entry[3:]
            clip = self._stored(2 * samples)
            if checksum(clip) != expected:
                break
            if not self._fits(len(clip)):
                self._close_shard()
            self._note(len(clip), clipped)
            self.checksums.append(expected)
            kept += len(line)
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._drop_the_rest(kept)
        return len(self.samples)

    def extend(self, chunks: Iterator[list[Decoded]]) -> Iterator[int]:
        """Append chunk after chunk; yields the number of clips of each once it is written.

        Raises:
            StorageError: the disk is full or cannot be written; what was written is kept.
        """
        journal = self.folder / JOURNAL
        with ThreadPoolExecutor(1) as second, journal.open("ab") as lines:
            for chunk in chunks:
                checksums = second.submit(lambda chunk: [checksum(clip.audio.data) for clip in chunk], chunk)
                with storage_errors(self._path()):
                    self._write(chunk)
                    entries = zip(chunk, checksums.result(), strict=True)
                    lines.writelines(_line([*c.source, len(c.audio), c.clipped, found]) for c, found in entries)
                    lines.flush()
                self.checksums += checksums.result()
                yield len(chunk)

    def close(self) -> None:
        """Finish the last shard.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        self._close_shard()

    def _path(self, number: int | None = None) -> Path:
        return self.folder / f"audio-{len(self.shards) if number is None else number:05d}.i16"

    def _fits(self, size: int) -> bool:
        return not self._clips or self._bytes + size <= self._shard_bytes

    def _write(self, chunk: list[Decoded]) -> None:
        """Write a chunk, each shard's file opened once."""
        file = self._path().open("ab")
        try:
            for clip in chunk:
                if not self._fits(clip.audio.nbytes):
                    file.close()
                    self._close_shard()
                    file = self._path().open("ab")
                file.write(clip.audio.data)
                self._note(clip.audio.nbytes, clip.clipped)
        finally:
            file.close()

    def _note(self, size: int, clipped: int) -> None:
        self._bytes += size
        self._clips += 1
        self.samples.append(size // 2)
        self.clipped.append(clipped)

    def _close_shard(self) -> None:
        """Wait until the disk holds the present shard, note it and begin the next."""
        path = self._path()
        with storage_errors(path), path.open("r+b") as file:
            file.truncate(self._bytes)
            os.fsync(file.fileno())
        self.shards.append({"file": path.name, "bytes": self._bytes, "clips": self._clips})
        self._bytes = self._clips = 0

    def _entries(self) -> Iterator[tuple[bytes, list[Any]]]:
        """Lines of a journal of our key, and what they say; it ends where a line was cut by a crash."""
        try:
            with (self.folder / JOURNAL).open("rb") as lines:
                if next(lines, b"") != _line(self._key):
                    return
                for line in lines:
                    entry = json.loads(line)
                    if not line.endswith(b"\n") or list(map(type, entry)) != [str, int, int, int, int, str]:
                        return
                    yield line, entry
        except (FileNotFoundError, TypeError, ValueError):
            return

    def _stored(self, size: int) -> bytes:
        """What lies where the next clip, of ``size`` bytes, would be written."""
        fits = self._fits(size)
        path = self._path(len(self.shards) + (not fits))
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            file.seek(self._bytes if fits else 0)
            return file.read(size)

    def _drop_the_rest(self, kept: int) -> None:
        """Leave the clips taken over and the journal's lines about them, and nothing else."""
        ours = {JOURNAL, self._path().name, *(shard["file"] for shard in self.shards)}
        for path in self.folder.iterdir():
            if path.name not in ours:
                path.unlink()
        with self._path().open("ab") as file:
            file.truncate(self._bytes)
        head = _line(self._key)
        with (self.folder / JOURNAL).open("ab") as file:
            if kept:
                file.truncate(len(head) + kept)
            else:
                file.truncate(0)
                file.write(head)


def _line(value: Any) -> bytes:
    return canonical_json(value).encode() + b"\n"
