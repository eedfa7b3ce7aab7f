"""Packed waveforms on disk: memory-mapped int16 shards, a Parquet clips table and a manifest.

A corpus folder holds ``audio-00000.i16``, ``audio-00001.i16``, ... (little-endian int16, mono, clips end to end in the
order of the table, none cut by a shard's end), ``clips.parquet`` and, written last, ``manifest.json``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmark.artifacts import hash_file, read_json
from benchmark.errors import CorruptArtifactError, DataError, ForbiddenClipError, StaleArtifactError

FORMAT = 2
"""Version of the folder's layout."""

MANIFEST = "manifest.json"
CLIPS = "clips.parquet"

CHECKSUM = "checksum"
"""Column of the clips table that identifies a clip's samples."""

_CHECKSUM_BYTES = 8
"""Two of two million different clips have the same checksum with a probability of one in ten million."""

Ints = NDArray[np.int64]
Samples = NDArray[np.int16]
Short = Literal["pad", "tile"]


@dataclass(frozen=True)
class _Layout:
    """Where each clip lies: the shard that holds it, its first sample there, and how many it has; each ``(n,)``."""

    shard: Ints
    offset: Ints
    samples: Ints


@dataclass(frozen=True)
class Corpus:
    """A prepared dataset at one sample rate, read without copying it into memory."""

    folder: Path
    manifest: dict[str, Any]
    clips: pd.DataFrame
    """Row ``i`` is clip ``i``: clip_id, path, samples, group, the official split or fold, labels, booleans."""
    _shards: tuple[Samples, ...]
    _layout: _Layout
    _restrictions: tuple[tuple[NDArray[np.bool_], str], ...] = ()

    @classmethod
    def open(cls, folder: Path, fingerprint: str | None = None) -> Corpus:
        """Open a prepared folder, checking what is cheap: the manifest, file sizes and the clips table's hash.

        Raises:
            StaleArtifactError: not prepared yet, in another format, or not the data that ``fingerprint`` names.
            CorruptArtifactError: a file is missing, of the wrong size or fails its hash.
            DataError: the dataset was absent when it was prepared.
        """
        manifest = read_manifest(folder)
        if manifest["status"] == "absent":
            raise DataError(f"Dataset {manifest['dataset']} is absent: {manifest['reason']}")
        if fingerprint is not None and manifest["fingerprint"] != fingerprint:
            raise StaleArtifactError(
                f"{folder} holds other data than the plan was made for; run `dvc repro` so that it is planned again."
            )
        for file in [*manifest["shards"], manifest["clips"]]:
            _check_size(folder, file)
        if hash_file(folder / CLIPS) != manifest["clips"]["hash"]:
            raise _corrupt(folder / CLIPS, "fails its checksum")
        clips = pd.read_parquet(folder / CLIPS)
        shards = tuple(
            np.asarray(np.memmap(folder / shard["file"], dtype="<i2", mode="r")) for shard in manifest["shards"]
        )
        return cls(folder, manifest, clips, shards, _layout(clips, manifest))

    @property
    def dataset(self) -> str:
        """The dataset's id."""
        return str(self.manifest["dataset"])

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return int(self.manifest["sample_rate"])

    @property
    def fingerprint(self) -> str:
        """Hash of the audio, the clips table and the rate: what a score's data_hash is made from."""
        return str(self.manifest["fingerprint"])

    @property
    def standin(self) -> bool:
        """Whether this is synthetic audio in place of the real recordings."""
        return bool(self.manifest["standin"])

    def __len__(self) -> int:
        return len(self.clips)

    def verify(self) -> None:
        """Read every clip and compare checksums; :meth:`open` has checked the clips table, which holds them.

        Raises:
            CorruptArtifactError: a clip's samples are not those that were packed.
        """
        whole = replace(self, _restrictions=())
        for row, expected in enumerate(self.clips[CHECKSUM]):
            if checksum(whole.clip(row).data) != expected:
                shard = self.manifest["shards"][self._layout.shard[row]]["file"]
                raise _corrupt(self.folder / shard, f"fails the checksum of clip {self.clips['clip_id'].iloc[row]}")

    def restricted(self, allowed: NDArray[np.bool_], reason: str) -> Corpus:
        """The same data, of which only the ``allowed`` ``(n,)`` clips can be read; restrictions add up."""
        mask = np.asarray(allowed)
        if mask.dtype != np.bool_ or mask.shape != (len(self),):
            raise ValueError(f"allowed must be a boolean mask of {len(self)} clips, not {mask.dtype} {mask.shape}")
        return replace(self, _restrictions=(*self._restrictions, (mask.copy(), reason)))

    def clip(self, row: int) -> Samples:
        """All samples of one clip, ``(T,)``.

        Raises:
            ForbiddenClipError: the clip is outside the allowed ones.
        """
        self._check_allowed(np.array([row]))
        start, samples = int(self._layout.offset[row]), int(self._layout.samples[row])
        whole: Samples = self._shards[int(self._layout.shard[row])][start : start + samples]
        return whole

    def gather(self, rows: Ints, starts: Ints, length: int, short: Short = "pad") -> Samples:
        """Crops ``(B, length)`` of the clips ``rows`` ``(B,)`` from sample ``starts`` ``(B,)`` on, in one gather.

        A clip that ends before ``start + length`` is followed by zeros (``pad``) or begins again (``tile``).

        Raises:
            ForbiddenClipError: a row is outside the allowed clips.
            ValueError: a start is outside its clip.
        """
        rows, starts = np.asarray(rows, np.int64), np.asarray(starts, np.int64)
        self._check_allowed(rows)
        remaining = self._layout.samples[rows] - starts
        if (starts < 0).any() or (remaining <= 0).any():
            raise ValueError("a crop must start inside its clip")
        short_of_crop = remaining < length
        parts: list[tuple[Ints, Samples]] = []
        for number in np.unique(self._layout.shard[rows]):
            here = self._layout.shard[rows] == number
            if (whole := np.flatnonzero(here & ~short_of_crop)).size:
                windows = sliding_window_view(self._shards[number], length)
                parts.append((whole, windows[self._layout.offset[rows[whole]] + starts[whole]]))
            if (cut := np.flatnonzero(here & short_of_crop)).size:
                parts.append((cut, self._short_crops(self._shards[number], rows[cut], starts[cut], length, short)))
        return _in_order(parts)

    def _short_crops(self, shard: Samples, rows: Ints, starts: Ints, length: int, short: Short) -> Samples:
        samples = self._layout.samples[rows, None]
        position = starts[:, None] + np.arange(length)
        inside = position % samples if short == "tile" else np.minimum(position, samples - 1)
        crops = shard[self._layout.offset[rows, None] + inside]
        if short == "pad":
            crops[position >= samples] = 0
        return crops

    def _check_allowed(self, rows: Ints) -> None:
        for allowed, reason in self._restrictions:
            forbidden = rows[~allowed[rows]]
            if forbidden.size:
                clip = self.clips["clip_id"].iloc[int(forbidden[0])]
                raise ForbiddenClipError(f"Clip {clip} of {self.dataset} must not be read here: {reason}.")


def checksum(clip: memoryview | bytes) -> str:
    """What identifies a clip's samples in the clips table."""
    return hashlib.blake2b(clip, digest_size=_CHECKSUM_BYTES).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a corpus folder, of the present format.

    Raises:
        StaleArtifactError: there is none, or it is of another format.
        CorruptArtifactError: it does not parse.
    """
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StaleArtifactError(
            f"{folder / MANIFEST} is of another format; run `dvc repro` so that it is prepared again."
        )
    return manifest


def _in_order(parts: list[tuple[Ints, Samples]]) -> Samples:
    """Crops of all parts by their place in the batch; a batch of one part, the usual case, is not copied again."""
    if len(parts) == 1:
        return parts[0][1]
    places = np.concatenate([place for place, _ in parts])
    return np.concatenate([crops for _, crops in parts])[np.argsort(places)]


def _layout(clips: pd.DataFrame, manifest: dict[str, Any]) -> _Layout:
    samples = clips["samples"].to_numpy(np.int64)
    clips_per_shard = [shard["clips"] for shard in manifest["shards"]]
    shard = np.repeat(np.arange(len(clips_per_shard)), clips_per_shard)
    begin = np.cumsum(samples) - samples  # in the whole stream
    first_clip = np.cumsum(clips_per_shard) - clips_per_shard
    return _Layout(shard, begin - begin[first_clip][shard], samples)


def _check_size(folder: Path, file: dict[str, Any]) -> None:
    path = folder / file["file"]
    found = path.stat().st_size if path.is_file() else None
    if found != file["bytes"]:
        size = "is missing" if found is None else f"has {found} bytes, not {file['bytes']}"
        raise _corrupt(path, size)


def _corrupt(path: Path, fault: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        f"{path} {fault}; delete {path.parent} and run `dvc repro` so that it is prepared again."
    )
