"""Resumable downloads over HTTP that believe no server: ranges, sizes, validators and checksums are all checked.

``requests`` does connections, redirects, proxies and certificates. What is here is what none of the usual download helpers
does: going on with a partial file of an earlier process only where the server proves that it is still the same file.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from benchmark.artifacts import storage_errors, write_json
from benchmark.corpus.archives import WrongFileError, verify
from benchmark.corpus.extract import Advance, is_archive
from benchmark.errors import DownloadError
from benchmark.records import Archive

ATTEMPTS = 5
"""Failures in a row, without a byte gained, after which an address is given up."""
TIMEOUT = (10.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes."""
LONGEST_WAIT = 60.0
"""Seconds between two attempts at most, whatever the server asks for."""

_FIRST_WAIT = 1.0
_BLOCK = 1 << 16
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


class Cancelled(Exception):
    """The download was told to stop; what it has is kept."""


@dataclass(eq=False)
class _Transient(Exception):
    """Worth another attempt."""

    reason: str
    wait: float = 0.0


@dataclass(eq=False)
class _Refused(Exception):
    """This address will not do; the next one may."""

    reason: str


class Download:
    """One file on its way: ``path`` once it is complete and verified, ``<path>.part`` until then."""

    def __init__(self, archive: Archive, path: Path, stop: threading.Event, advance: Advance | None = None) -> None:
        self.archive = archive
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self._facts = path.with_name(path.name + ".part.json")
        self._stop = stop
        self._advance = advance or (lambda count: None)
        self._ranges = True
        self._response: requests.Response | None = None

    @property
    def size(self) -> int:
        """Bytes of the partial file."""
        return self.part.stat().st_size if self.part.exists() else 0

    def abort(self) -> None:
        """Stop at once, from another thread, even where the server has stalled."""
        self._stop.set()
        response = self._response
        if response is not None:
            with suppress(ValueError, OSError):  # it has just ended
                response.raw.shutdown()

    def run(self) -> str:
        """Download, from the first address that has it whole; returns the checksum, see :func:`archives.verify`.

        Raises:
            DownloadError: no address has it; one sentence with the reason of each.
            StorageError: the disk is full or cannot be written.
            Cancelled: ``stop`` was set.
        """
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            reasons = []
            with requests.Session() as session:
                for url in (self.archive.url, *self.archive.mirrors):
                    try:
                        return self._from(session, url)
                    except _Refused as error:
                        reasons.append(f"{url}: {error.reason}")
        raise DownloadError(
            f"{self.archive.file} cannot be downloaded ({'; '.join(reasons)}); run the same command later, or put the file "
            f"in {self.path.parent.parent} yourself."
        )

    def _from(self, session: requests.Session, url: str) -> str:
        """Download from one address, going on after every interruption that gained something."""
        failures = wrong = 0
        while True:
            before = self.size
            try:
                total = self._transfer(session, url)
                return self._finish()
            except WrongFileError as error:  # complete, and not what is published
                self._discard()
                wrong += 1
                stitched = before > 0 or total is None
                if wrong == 2 or not stitched:
                    raise _Refused(str(error).removesuffix("; fetch it again.")) from error
            except _Transient as error:
                failures = 0 if self.size > before else failures + 1
                if failures == ATTEMPTS:
                    raise _Refused(f"{error.reason}, {ATTEMPTS} times") from error
                wait = max(error.wait, _FIRST_WAIT * 2**failures)
                if self._stop.wait(min(wait, LONGEST_WAIT)):
                    raise Cancelled from error

    def _transfer(self, session: requests.Session, url: str) -> int | None:
        """One request: append to the partial file, or write it afresh where the server does not prove that it continues it.

        Returns the size that the server told of the whole file, if it did.
        """
        headers = {"Accept-Encoding": "identity", **self._range(url)}  # a range counts bytes of the file itself
        try:
            with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
                total = self._accept(response, url, asked="Range" in headers)
                if total is None or self.size < total:
                    self._response = response
                    self._write(response)
        except (requests.ConnectionError, requests.Timeout, HTTPError) as error:
            raise _Transient(_reason(error)) from error
        except requests.RequestException as error:  # no such scheme, too many redirects
            raise _Refused(_reason(error)) from error
        finally:
            self._response = None
        if total is not None and self.size != total:
            raise _Transient(f"the connection ended after {self.size:,} of {total:,} bytes")
        return total

    def _write(self, response: requests.Response) -> None:
        with self.part.open("ab") as file:
            for block in response.raw.stream(_BLOCK, decode_content=False):
                if self._stop.is_set():
                    raise Cancelled
                file.write(block)
                file.flush()
                self._advance(len(block))

    def _range(self, url: str) -> dict[str, str]:
        """Headers that ask for the rest of the partial file; none, and no partial file, where that would be a guess.

        With a validator of the same address the server decides; any address will do where a checksum decides in the end.
        """
        facts = self._known()
        if self.size and self._ranges:
            if facts.get("url") == url and facts.get("validator"):
                return {"Range": f"bytes={self.size}-", "If-Range": facts["validator"]}
            if self.archive.md5 or self.archive.sha256:
                return {"Range": f"bytes={self.size}-"}
        self._discard()
        return {}

    def _accept(self, response: requests.Response, url: str, asked: bool) -> int | None:
        """Check the answer's head against the partial file; returns the size of the whole file, if the server knows."""
        status = response.status_code
        if status in _TRANSIENT:
            raise _Transient(f"HTTP {status}", Retry().get_retry_after(response.raw) or 0.0)
        if status == 416 and asked:
            if response.headers.get("Content-Range") == f"bytes */{self.size}":
                return self.size  # whole already, only not yet verified
            self._discard()
            raise _Transient("the file became shorter")
        if status not in {200, 206} or (status == 206 and not asked):
            raise _Refused(f"HTTP {status}")
        start, total = _extent(response)
        facts = _validators(response, url, total)
        if asked and (status == 200 or start != self.size or self._changed(facts)):
            self._ranges = status == 200 or start == self.size  # one that lies about ranges is not asked again
            self._discard()
            if status == 206:
                raise _Transient("the server sent another range than it was asked for, or the file changed")
        self._check_kind(response)
        if self.archive.bytes is not None and total is not None and total != self.archive.bytes:
            raise _Refused(f"it has {total:,} bytes there where {self.archive.bytes:,} are published")
        write_json(self._facts, facts)
        return total

    def _changed(self, facts: dict[str, str | int | None]) -> bool:
        """Whether the server now tells of another file than the one begun; the address may differ, the size may not."""
        known = self._known()
        same_address = known.get("url") == facts["url"]
        compared = ("total", "validator") if same_address else ("total",)
        return any(known.get(key) and facts[key] and known[key] != facts[key] for key in compared)

    def _check_kind(self, response: requests.Response) -> None:
        page = response.headers.get("Content-Type", "").startswith("text/html")
        if page and is_archive(self.archive.part_of or self.archive.file):
            raise _Refused("it answers with a web page instead of the file")

    def _finish(self) -> str:
        checksum = verify(self.part, self.archive)
        self.part.replace(self.path)
        self._facts.unlink(missing_ok=True)
        return checksum

    def _known(self) -> dict[str, str]:
        """What the server said of the file that the partial one is the beginning of."""
        try:
            facts = json.loads(self._facts.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def _discard(self) -> None:
        if self.size:
            self._advance(-self.size)
        self.part.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)


def get_json(url: str) -> object:
    """A small JSON document.

    Raises:
        DownloadError: there is none at that address.
    """
    try:
        with requests.get(url, timeout=TIMEOUT) as response:
            response.raise_for_status()
            document: object = response.json()
            return document
    except (requests.RequestException, ValueError) as error:
        raise DownloadError(f"{url} cannot be read ({_reason(error)}); run the same command later.") from error


def _extent(response: requests.Response) -> tuple[int, int | None]:
    """First byte and size of the whole file, from Content-Range or Content-Length (RFC 9110, 14.4 and 8.6)."""
    if response.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if match is None:
            return -1, None
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _validators(response: requests.Response, url: str, total: int | None) -> dict[str, str | int | None]:
    """What identifies the file at that address; a weak ETag does not (RFC 9110, 13.1.5)."""
    etag = response.headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
    return {"url": url, "validator": validator, "total": total}


def _reason(error: Exception) -> str:
    """A library's error in a few words, without addresses of objects."""
    text = re.sub(r"<[^>]*> ?:? ?", "", " ".join(str(error).split()))
    return text[:160] or type(error).__name__
