"""`benchmark fetch`: a dataset from its archives, wherever they come from, to its official layout below the data root."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
from tqdm import tqdm

from benchmark.artifacts import storage_errors
from benchmark.corpus.archives import Unit, checksums, install, units, verify
from benchmark.corpus.download import Download, get_json
from benchmark.corpus.layout import walk
from benchmark.corpus.receipts import ARCHIVES, Receipt, has_files
from benchmark.corpus.status import size
from benchmark.errors import AccessError, DataError, DownloadError, StorageError
from benchmark.records import Archive, Dataset

ZENODO = "https://zenodo.org/api/records/{record}"
"""Where a record's files are listed with their md5."""

_OPEN_BY_HAND = {"form", "login"}


@dataclass(frozen=True)
class Options:
    """What a user may choose."""

    supplied: Path | None = None
    """An archive, a folder of archives or the dataset's own folder, got by other means."""
    keep: bool = False
    """Keep downloaded archives once they are unpacked."""
    jobs: int = 4
    """Downloads at a time."""


def fetch(dataset: Dataset, data: Path, options: Options | None = None, say: Callable[[str], None] = print) -> None:
    """Bring a dataset to ``data/<its folder>``; nothing that is finished is done again.

    A folder that is there already, or is supplied, is checked file by file where checksums are published, else read. Of
    archives, those in ``data/archives`` and the supplied ones are taken, and the others downloaded where that is possible.

    Args:
        dataset: its record.
        data: the data root.
        options: what the user chose.
        say: takes each sentence about what was done.

    Raises:
        AccessError: archives are missing that only the user can get; the message has the steps.
        DownloadError: an archive cannot be downloaded.
        DataError: a file fails its checksum, is damaged, or would replace another.
        StorageError: the disk is full or cannot be written.
    """
    options = options or Options()
    with _locked(dataset, data, say):
        _Fetch(dataset, data, options, say).run()


@contextmanager
def _locked(dataset: Dataset, data: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Only one process at a time fetches a dataset; the operating system frees the lock if that one dies."""
    with storage_errors(data):
        (data / ARCHIVES / dataset.id).mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(data / ARCHIVES / f".{dataset.id}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            say(f"{dataset.id}: another process is fetching it; waiting.")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _Fetch:
    """One dataset being fetched, under its lock."""

    def __init__(self, dataset: Dataset, data: Path, options: Options, say: Callable[[str], None]) -> None:
        self.dataset = dataset
        self.data = data
        self.options = options
        self.say = say
        self.folder = data / dataset.folder
        self.own_archives = data / ARCHIVES / dataset.id
        self.receipt = Receipt.read(data, dataset.id)

    def run(self) -> None:
        """Take the user's folder if there is one, else install every unit."""
        self._link_supplied_folder()
        if not self.receipt.begun and has_files(self.folder) and self.dataset.access != "user-supplied":
            return self._accept_folder()
        waiting = [unit for unit in units(self.dataset.archives) if not self.receipt.has(unit, self.data)]
        if waiting:
            self._install_all(waiting)
        elif self.dataset.archives:
            self.say(f"{self.dataset.id}: complete in {self.folder}; nothing to do.")
        if not has_files(self.folder) or self.dataset.access == "user-supplied":
            self._ask_for_the_rest()
        return None

    def _ask_for_the_rest(self) -> None:
        """What no archive brings, its user must."""
        try:
            clips = len(self.dataset.read(self.folder))
        except DataError as error:
            raise AccessError(_steps(self.dataset, self.data, [str(error)])) from error
        self.say(f"{self.dataset.id}: {clips:,} clips of {self.dataset.expected_clips:,} in {self.folder}.")

    # --- a folder that the user brings

    def _link_supplied_folder(self) -> None:
        """Make a supplied folder that is the dataset's own, or holds it, appear below the data root."""
        supplied = self.options.supplied
        if supplied is None:
            return
        if not supplied.exists():
            raise DataError(
                f"{supplied} does not exist; give an archive, a folder of archives or the dataset's folder."
            )
        own = self._own_folder(supplied)
        if own is None or own.resolve() == self.folder.resolve():
            return
        if self.folder.exists():
            raise DataError(f"{self.folder} is there already; move it away to take {own} instead.")
        with storage_errors(self.folder):
            self.folder.symlink_to(own.resolve(), target_is_directory=True)
        self.say(f"{self.dataset.id}: {self.folder} now points to {own}.")

    def _own_folder(self, supplied: Path) -> Path | None:
        """The dataset's own folder, known by its name or because it can be read; None where archives are supplied."""
        for path in (supplied / self.dataset.folder, supplied):
            if path.name == self.dataset.folder and path.is_dir():
                return path
        if supplied.is_file() or any((supplied / archive.file).exists() for archive in self.dataset.archives):
            return None
        try:
            self.dataset.read(supplied)
        except DataError as error:
            raise DataError(
                f"{supplied} holds neither an archive of {self.dataset.id} nor its official layout: {error}"
            ) from error
        return supplied

    def _accept_folder(self) -> None:
        """Check a folder that was not made here, and remember that it was."""
        published = self.dataset.file_checksums
        if published is None:
            clips = self.dataset.read(self.folder)
            checked = f"{len(clips):,} clips read, of {self.dataset.expected_clips:,}; no checksums are published"
        else:
            checked = self._check_files(self._published_files())
        self.receipt.own = checked
        self.receipt.write(self.data, self.dataset.id)
        self.say(f"{self.dataset.id}: your folder {self.folder} is taken ({checked}).")

    def _published_files(self) -> dict[str, str]:
        """Path and md5 of every file in the published list."""
        published = self.dataset.file_checksums
        assert published is not None
        record = Archive(Path(published.url).name, published.url, md5=published.md5)
        path = self._local(record)
        if path is None:
            path = self.own_archives / record.file
            Download(record, path, threading.Event()).run()
        else:
            verify(path, record)
        try:
            found = dict(_paths_and_md5(json.loads(path.read_text(encoding="utf-8"))))
        except ValueError as error:
            raise DataError(f"{path} is not readable JSON ({error}); delete it and fetch it again.") from error
        if not found:
            raise DataError(f"{path} lists no file; delete it and fetch it again.")
        return found

    def _check_files(self, published: dict[str, str]) -> str:
        """Compare the folder's files with the published list; a subset is accepted and counted."""
        listed = _by_tail(published)
        files = [(file, md5) for file in walk(self.folder) if (md5 := _listed(listed, self.dataset.folder, file.path))]
        with _bar(f"check {self.dataset.id}", sum(file.size for file, _ in files)) as bar:
            for file, wanted in files:
                md5 = checksums(self.folder / file.path, ("md5",), bar.update)["md5"]
                if md5 != wanted:
                    raise DataError(
                        f"{self.folder / file.path} has the md5 {md5} where {wanted} is published; fetch the dataset again."
                    )
        if not files:
            raise DataError(
                f"{self.folder} holds none of the {len(published):,} published files; fetch the dataset again."
            )
        return f"{len(files):,} of {len(published):,} published files are there, each as published"

    # --- archives

    def _install_all(self, waiting: list[Unit]) -> None:
        """Download what is missing, in parallel, and install unit by unit as soon as its parts are there."""
        found = {part.file: path for unit in waiting for part in unit.parts if (path := self._local(part)) is not None}
        missing = [part for unit in waiting for part in unit.parts if part.file not in found]
        self._check_access(missing)
        completed = {part.file: self._completed(part) for unit in waiting for part in unit.parts}
        downloads = [completed[part.file] for part in missing]
        self._check_space(downloads)
        with self._downloading(downloads) as arriving:
            for unit in waiting:
                self._install(unit, {part.file: completed[part.file] for part in unit.parts}, found, arriving)
        self.say(f"{self.dataset.id}: complete in {self.folder}.")

    def _check_access(self, missing: list[Archive]) -> None:
        """Stop with the steps where an archive is missing that cannot be downloaded."""
        by_hand = [part for part in missing if not part.url or self.dataset.access in _OPEN_BY_HAND]
        if by_hand:
            raise AccessError(_steps(self.dataset, self.data, [part.file for part in by_hand]))

    def _check_space(self, downloads: list[Archive]) -> None:
        needed = sum((part.bytes or 0) - self._begun(part) for part in downloads)
        free = shutil.disk_usage(self.data).free
        if needed > free:
            raise StorageError(
                f"{self.dataset.id} needs {size(needed)} for its archives and {self.data} has {size(free)} free; "
                "free space or give another folder with --data."
            )

    def _begun(self, part: Archive) -> int:
        path = self.own_archives / f"{part.file}.part"
        return path.stat().st_size if path.exists() else 0

    @contextmanager
    def _downloading(self, downloads: list[Archive]) -> Iterator[dict[str, Future[str]]]:
        """Downloads in the background; leaving early tells them to stop, and what they have is kept."""
        stop = threading.Event()
        total = sum(part.bytes or 0 for part in downloads)
        pool = ThreadPoolExecutor(self.options.jobs)
        known = total if all(part.bytes for part in downloads) else None
        with _bar(f"fetch {self.dataset.id}", known, sum(map(self._begun, downloads)), bool(downloads)) as bar:
            guard = threading.Lock()

            def advance(count: int) -> None:
                with guard:
                    bar.update(count)

            jobs = {part.file: Download(part, self.own_archives / part.file, stop, advance) for part in downloads}
            try:
                yield {name: pool.submit(job.run) for name, job in jobs.items()}
            except BaseException:
                for job in jobs.values():
                    job.abort()
                raise
            finally:
                pool.shutdown(cancel_futures=True)

    def _install(
        self, unit: Unit, parts: dict[str, Archive], found: dict[str, Path], arriving: dict[str, Future[str]]
    ) -> None:
        """Wait for the parts, verify those that were not downloaded just now, unpack, and note it down."""
        verified, paths = [], []
        for name, part in parts.items():
            if name in found:
                paths.append(found[name])
                with _bar(f"check {name}", paths[-1].stat().st_size) as bar:
                    verified.append(verify(paths[-1], part, bar.update))
            else:
                verified.append(arriving[name].result())
                paths.append(self.own_archives / name)
                self.receipt.downloaded = sorted({*self.receipt.downloaded, name})
        self.receipt.begun = True
        self.receipt.write(self.data, self.dataset.id)
        with _bar(f"unpack {unit.name}", None) as bar:
            tops = install(unit, paths, self.data, self.dataset.folder, bar.update)
        self.receipt.installed[unit.name] = {"checksums": verified, "paths": tops}
        self.receipt.write(self.data, self.dataset.id)
        self._tidy(parts)

    def _tidy(self, parts: dict[str, Archive]) -> None:
        """Delete what was downloaded here and is unpacked now; never a file that the user brought."""
        if self.options.keep:
            return
        for name in parts:
            if name in self.receipt.downloaded:
                (self.own_archives / name).unlink(missing_ok=True)
                self.receipt.downloaded.remove(name)
        self.receipt.write(self.data, self.dataset.id)

    def _local(self, archive: Archive) -> Path | None:
        """A file of that name that is here already."""
        supplied = self.options.supplied
        places = [self.own_archives / archive.file, self.data / ARCHIVES / archive.file]
        if supplied is not None:
            places = [supplied if supplied.name == archive.file else supplied / archive.file, *places]
        return next((path for path in places if path.is_file()), None)

    def _completed(self, archive: Archive) -> Archive:
        """The record with what Zenodo publishes, where it has no checksum itself; what was read once is pinned."""
        if archive.md5 is None and archive.sha256 is None and archive.zenodo and archive.file not in self.receipt.pins:
            self._pin(archive.zenodo)
        return self.receipt.pinned(archive)

    def _pin(self, record: int) -> None:
        url = ZENODO.format(record=record)
        try:
            published = dict(_zenodo_files(get_json(url)))
        except DownloadError as error:
            self.say(f"{self.dataset.id}: no published checksum to compare with ({error})")
            return
        self.receipt.pins |= {name: {**facts, "source": url} for name, facts in published.items()}
        self.receipt.write(self.data, self.dataset.id)


def _zenodo_files(document: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name, size and md5 of each file of a record, as Zenodo's API lists them."""
    files = document.get("files", []) if isinstance(document, dict) else []
    for file in files:
        name, checksum = file.get("key"), str(file.get("checksum", ""))
        if isinstance(name, str) and re.fullmatch(r"md5:[0-9a-f]{32}", checksum):
            yield name, {"bytes": file.get("size"), "md5": checksum.removeprefix("md5:")}


def _paths_and_md5(document: object) -> Iterator[tuple[str, str]]:
    """Every pair of a path and an md5 anywhere in a soundata or mirdata index."""
    if isinstance(document, dict):
        for value in document.values():
            yield from _paths_and_md5(value)
    elif isinstance(document, list):
        match document:
            case [str(path), str(md5)] if re.fullmatch(r"[0-9a-f]{32}", md5):
                yield path, md5
            case _:
                for value in document:
                    yield from _paths_and_md5(value)


def _by_tail(published: dict[str, str]) -> dict[str, str]:
    """Checksums by every tail of their paths that names one file only: lists begin anywhere at or above the audio."""
    found: dict[str, set[str]] = {}
    for path, md5 in published.items():
        for tail in _tails(path):
            found.setdefault(tail, set()).add(md5)
    return {tail: next(iter(sums)) for tail, sums in found.items() if len(sums) == 1}


def _listed(by_tail: dict[str, str], folder: str, path: str) -> str | None:
    """The checksum listed for a file of the dataset's folder, by the longest tail of its path that the list knows."""
    return next((by_tail[tail] for tail in _tails(f"{folder}/{path}") if tail in by_tail), None)


def _tails(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _steps(dataset: Dataset, data: Path, missing: list[str]) -> str:
    """All that a user must do, in one message."""
    how = {
        "form": "asks for a form to be filled in",
        "login": "asks for a login",
        "user-supplied": "must be collected by its user",
        "open": "cannot be downloaded",
    }[dataset.access]
    steps = dataset.steps or f"See {dataset.homepage}."
    return (
        f"{dataset.title} {how}. {steps} Put the files into {data / ARCHIVES} or name their folder with --from, and run "
        f"`benchmark fetch {dataset.id}` again. Missing: {', '.join(missing)}"
    )


def _bar(title: str, total: int | None, initial: int = 0, shown: bool = True) -> tqdm[Any]:
    return tqdm(
        desc=title,
        total=total,
        initial=initial,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None if shown else True,
    )
