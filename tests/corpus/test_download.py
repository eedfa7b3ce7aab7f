from __future__ import annotations

import errno
import gzip
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.corpus import download
from benchmark.corpus.download import Cancelled, Download, get_json
from benchmark.errors import DownloadError, StorageError
from benchmark.records import Archive
from tests.corpus.server import Server, running

DATA = np.random.default_rng(0).bytes(600_000)
OTHER = np.random.default_rng(1).bytes(600_000)
MD5 = hashlib.md5(DATA).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_FIRST_WAIT", 0.005)
    monkeypatch.setattr(download, "TIMEOUT", (2.0, 0.3))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def record(url: str, **facts: Any) -> Archive:
    return Archive("a.zip", url, **facts)


def job(archive: Archive, folder: Path) -> Download:
    return Download(archive, folder / "d" / "a.zip", threading.Event())


def get(archive: Archive, folder: Path) -> bytes:
    return run(job(archive, folder))


def run(download: Download) -> bytes:
    download.run()
    assert not download.part.exists()
    assert sorted(path.name for path in download.path.parent.iterdir()) == ["a.zip"]
    return download.path.read_bytes()


def test_a_file_is_downloaded_and_its_checksum_returned(server: Server, tmp_path: Path):
    url = server.add("a", DATA)
    moved: list[int] = []
    whole = Download(record(url, md5=MD5, bytes=len(DATA)), tmp_path / "a.zip", threading.Event(), moved.append)
    assert whole.run() == f"md5:{MD5}"
    assert whole.path.read_bytes() == DATA
    assert sum(moved) == len(DATA)
    free = Download(record(url), tmp_path / "b.zip", threading.Event())
    assert free.run() == f"sha256:{hashlib.sha256(DATA).hexdigest()}"


@pytest.mark.parametrize("known", [{}, {"md5": MD5}, {"bytes": len(DATA)}])
def test_a_connection_cut_again_and_again_is_continued(server: Server, tmp_path: Path, known: dict[str, Any]):
    url = server.add("a", DATA, cut=[200_000, 100_000, 100_000])
    assert get(record(url, **known), tmp_path) == DATA
    assert server["a"].sent == [200_000, 100_000, 100_000, 200_000]  # not a byte twice
    assert all(request["If-Range"] == '"one"' for request in server["a"].requests[1:])


def test_a_later_process_goes_on_where_the_first_stopped(server: Server, tmp_path: Path):
    url = server.add("a", DATA, cut=[200_000])
    stop = threading.Event()
    first = Download(record(url), tmp_path / "d" / "a.zip", stop, lambda count: stop.set())
    with pytest.raises(Cancelled):
        first.run()
    assert 0 < first.size < len(DATA)
    begun = first.size
    assert get(record(url), tmp_path) == DATA
    assert server["a"].requests[-1]["Range"] == f"bytes={begun}-"


def interrupted(server: Server, tmp_path: Path, **facts: Any) -> Archive:
    """A partial file of 200,000 bytes, whose download was given up; the server is whole again."""
    archive = record(server.add("a", DATA, cut=[200_000], status=[]), **facts)
    server["a"].redirect = ""
    one = job(archive, tmp_path)
    stop = one._stop
    real = one._advance
    one._advance = lambda count: (real(count), stop.set() if one.size >= 190_000 else None)
    with pytest.raises(Cancelled):
        one.run()
    server["a"].requests.clear()
    server["a"].sent.clear()
    return archive


def test_a_file_that_changed_is_fetched_afresh(server: Server, tmp_path: Path):
    archive = interrupted(server, tmp_path)
    server["a"].data, server["a"].etag = OTHER, '"two"'
    assert get(archive, tmp_path) == OTHER
    assert server["a"].sent == [len(OTHER)]


def test_a_server_that_ignores_if_range_is_caught_by_its_etag_or_size(server: Server, tmp_path: Path):
    for change in ({"etag": '"two"', "data": OTHER}, {"data": OTHER + b"more"}):
        archive = interrupted(server, tmp_path)
        for name, value in change.items():
            setattr(server["a"], name, value)

        class Any_(str):  # equals every condition: the server pretends not to have seen If-Range
            def __eq__(self, other: object) -> bool:
                return True

            __hash__ = str.__hash__

        server["a"].etag = Any_(server["a"].etag)
        assert get(archive, tmp_path) == server["a"].data
        (tmp_path / "d" / "a.zip").unlink()


def test_without_a_validator_or_checksum_nothing_is_continued(server: Server, tmp_path: Path):
    archive = interrupted(server, tmp_path)
    facts = tmp_path / "d" / "a.zip.part.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "validator": ""}))
    server["a"].data = OTHER
    assert get(archive, tmp_path) == OTHER
    assert "Range" not in server["a"].requests[0]


def test_a_weak_etag_validates_nothing_but_a_date_does(server: Server, tmp_path: Path):
    server.add("a", DATA, etag='W/"weak"', modified=1_600_000_000.0, cut=[200_000])
    assert get(record(f"{server.address}/a"), tmp_path) == DATA
    assert server["a"].requests[1]["If-Range"] == "Sun, 13 Sep 2020 12:26:40 GMT"


def test_a_server_that_ignores_ranges_starts_again(server: Server, tmp_path: Path):
    url = server.add("a", DATA, cut=[200_000], ranges=False)
    assert get(record(url), tmp_path) == DATA
    assert server["a"].sent == [200_000, len(DATA)]


@pytest.mark.parametrize("shift", [-7, 7])
def test_a_server_that_sends_another_range_is_asked_for_the_whole(server: Server, tmp_path: Path, shift: int):
    url = server.add("a", DATA, cut=[200_000], shift=shift)
    assert get(record(url), tmp_path) == DATA
    assert "Range" not in server["a"].requests[-1]


def test_a_range_stitched_from_two_files_is_seen_and_fetched_afresh(server: Server, tmp_path: Path):
    archive = interrupted(server, tmp_path, md5=hashlib.md5(OTHER).hexdigest())
    server["a"].data = OTHER  # another file of the same size under the same ETag
    assert get(archive, tmp_path) == OTHER


def test_wrong_bytes_are_one_sentence_with_both_checksums(server: Server, tmp_path: Path):
    url = server.add("a", OTHER)
    with pytest.raises(DownloadError, match=rf"has the md5 [0-9a-f]{{32}} where {MD5} is published") as caught:
        get(record(url, md5=MD5), tmp_path)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "d").iterdir()) == []


def test_another_size_is_refused_before_the_body(server: Server, tmp_path: Path):
    url = server.add("a", DATA)
    with pytest.raises(DownloadError, match="600,000 bytes there where 600,001 are published"):
        get(record(url, bytes=len(DATA) + 1), tmp_path)


def test_redirects_are_followed_and_a_loop_is_refused(server: Server, tmp_path: Path):
    url = server.add("a", DATA, cut=[100_000])
    server.add("moved", b"", redirect=url)
    assert get(record(f"{server.address}/moved"), tmp_path) == DATA
    server.add("loop", b"", redirect=f"{server.address}/loop")
    with pytest.raises(DownloadError, match="redirects"):
        get(record(f"{server.address}/loop"), tmp_path)


def test_a_stall_times_out_and_is_continued(server: Server, tmp_path: Path):
    url = server.add("a", DATA, stall=[200_000])
    assert get(record(url), tmp_path) == DATA
    assert len(server["a"].requests) == 2
    assert "Range" in server["a"].requests[1]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path, status: int):
    url = server.add("a", DATA, status=[status] * 3)
    assert get(record(url), tmp_path) == DATA


def test_a_server_that_stays_broken_is_given_up(server: Server, tmp_path: Path):
    url = server.add("a", DATA, status=[500] * 100)
    with pytest.raises(DownloadError, match="HTTP 500, 5 times"):
        get(record(url), tmp_path)
    assert len(server["a"].requests) == 5


def test_what_it_has_is_kept_when_a_server_is_given_up(server: Server, tmp_path: Path):
    url = server.add("a", DATA, cut=[200_000])
    server["a"].cut += [0] * 50
    one = job(record(url), tmp_path)
    with pytest.raises(DownloadError):
        one.run()
    assert one.size == 200_000
    server["a"].cut.clear()
    assert run(one) == DATA


def test_a_mirror_goes_on_with_the_partial_file_where_a_checksum_decides(server: Server, tmp_path: Path):
    first = server.add("a", DATA, cut=[200_000, *[0] * 20])
    second = server.add("b", DATA, etag='"elsewhere"')
    gone = f"{server.address}/gone"
    assert get(record(gone, mirrors=(first, second), md5=MD5), tmp_path) == DATA
    assert server["b"].sent == [400_000]
    assert get(record(first, mirrors=(second,)), tmp_path / "again") == DATA
    assert server["b"].sent[-1] == 600_000  # without a checksum it would be a guess


def test_404_names_the_address_and_what_to_do(server: Server, tmp_path: Path):
    with pytest.raises(
        DownloadError, match=r"/gone: HTTP 404\); run the same command later, or put the file in"
    ) as caught:
        get(record(f"{server.address}/gone"), tmp_path)
    assert "\n" not in str(caught.value)


def test_no_server_at_all(tmp_path: Path):
    with pytest.raises(DownloadError, match="5 times"):
        get(record("http://127.0.0.1:9/a"), tmp_path)
    with pytest.raises(DownloadError):
        get(record("nonsense://x"), tmp_path)


def test_a_web_page_is_not_an_archive(server: Server, tmp_path: Path):
    url = server.add("a", b"<html>Please log in</html>", content_type="text/html; charset=utf-8")
    with pytest.raises(DownloadError, match="web page"):
        get(record(url), tmp_path)


def test_a_file_that_shrank_below_the_partial_one(server: Server, tmp_path: Path):
    archive = interrupted(server, tmp_path, md5=hashlib.md5(DATA[:1000]).hexdigest())
    server["a"].data, server["a"].etag = DATA[:1000], '"one"'
    assert get(archive, tmp_path) == DATA[:1000]


def test_a_whole_file_that_was_not_yet_verified_is_not_fetched_again(server: Server, tmp_path: Path):
    archive = interrupted(server, tmp_path)
    job(archive, tmp_path).part.write_bytes(DATA)
    assert get(archive, tmp_path) == DATA
    assert server["a"].sent == []


def test_a_body_is_kept_as_it_is_however_its_encoding_is_called(server: Server, tmp_path: Path):
    data = gzip.compress(DATA)
    url = server.add("a", data, encoding="gzip")
    assert get(record(url), tmp_path) == data


def test_without_a_length_the_checksum_decides(server: Server, tmp_path: Path):
    url = server.add("a", DATA, length=False, cut=[200_000])
    assert get(record(url, md5=MD5), tmp_path) == DATA


def test_a_full_disk_is_one_sentence_and_keeps_what_is_there(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = server.add("a", DATA)
    one = job(record(url), tmp_path)

    def full(count: int) -> None:
        if one.size > 200_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(one, "_advance", full)
    with pytest.raises(StorageError, match="No space left on device"):
        one.run()
    assert one.size > 200_000
    monkeypatch.undo()
    assert get(record(url), tmp_path) == DATA


def test_a_damaged_note_beside_a_partial_file_is_not_trusted(server: Server, tmp_path: Path):
    archive = interrupted(server, tmp_path)
    (tmp_path / "d" / "a.zip.part.json").write_text("{nonsense")
    assert get(archive, tmp_path) == DATA
    assert "Range" not in server["a"].requests[0]


def test_random_faults_never_give_wrong_bytes(server: Server, tmp_path: Path):
    """A property over many schedules of faults: the file is right, or there is no file and one sentence."""
    generator = np.random.default_rng(0)
    for number in range(25):
        data = generator.bytes(int(generator.integers(1, 150_000)))
        url = server.add(
            "a",
            data,
            cut=generator.integers(0, 80_000, generator.integers(0, 4)).tolist(),
            status=generator.choice([429, 500, 503], generator.integers(0, 3)).tolist(),
            ranges=bool(generator.random() < 0.7),
            shift=int(generator.choice([0, 0, 0, 5])),
            etag=[None, '"x"', 'W/"x"'][generator.integers(3)],
        )
        known = [{}, {"md5": hashlib.md5(data).hexdigest()}, {"bytes": len(data)}][generator.integers(3)]
        assert get(replace(record(url), **known), tmp_path / str(number)) == data


def test_a_stalled_download_is_stopped_at_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(download, "TIMEOUT", (2.0, 30.0))
    one = job(record(server.add("a", DATA, stall=[200_000])), tmp_path)
    threading.Timer(0.5, one.abort).start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        one.run()
    assert time.monotonic() - start < 5
    assert one.size > 100_000


def test_json(server: Server):
    assert get_json(server.add("a", b'{"files": []}')) == {"files": []}
    for url in (server.add("b", b"<html>"), f"{server.address}/gone"):
        with pytest.raises(DownloadError, match="cannot be read"):
            get_json(url)
