from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.corpus import download, fetch
from benchmark.corpus.archives import install
from benchmark.corpus.fetch import Options
from benchmark.corpus.pack import pack_standin
from benchmark.corpus.receipts import Receipt, raw_state
from benchmark.corpus.scan import scan
from benchmark.corpus.status import dataset_status
from benchmark.errors import AccessError, DataError, DownloadError, StorageError
from benchmark.records import Archive, Dataset, FileChecksums
from tests.corpus.conftest import Tones
from tests.corpus.server import Server, running

PARTS = (
    Archive("low.z01", "", part_of="low.zip", holds=("low-*",)),
    Archive("low.zip", "", part_of="low.zip", holds=("low-*",)),
    Archive("high.tar.gz", "", holds=("high-*",)),
)


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_FIRST_WAIT", 0.005)
    monkeypatch.setattr(download, "TIMEOUT", (2.0, 0.5))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def published(server: Server, tones: Path, tmp_path: Path) -> Dataset:
    """Ten tones in a split zip and a tar.gz on the server, with checksums."""
    return publish(server, tones, tmp_path)


def publish(server: Server, tones: Path, tmp_path: Path, **facts: Any) -> Dataset:
    class Published(Tones):
        archives = PARTS

    packed = pack_standin(Published(), tones, tmp_path / "packed")
    served = [
        replace(archive, url=server.add(archive.file, (tmp_path / "packed" / archive.file).read_bytes()))
        for archive in packed
    ]
    Published.archives = tuple(served)
    for name, value in facts.items():
        setattr(Published, name, value)
    return Published()


def get(dataset: Dataset, data: Path, **options: Any) -> list[str]:
    said: list[str] = []
    fetch.fetch(dataset, data, Options(**options), said.append)
    return said


def requests(server: Server) -> int:
    return sum(len(resource.requests) for resource in server.resources.values())


def same(data: Path, tones: Path) -> bool:
    found = {path.name: path.read_bytes() for path in (data / "tones").iterdir()}
    return found == {path.name: path.read_bytes() for path in tones.iterdir()}


def names(data: Path) -> list[str]:
    return sorted(path.name for path in (data / "archives" / "tones").iterdir())


def test_a_dataset_is_fetched_and_nothing_is_done_twice(
    published: Dataset, server: Server, tones: Path, tmp_path: Path
):
    data = tmp_path / "data"
    assert raw_state(published, data)[0] == "absent"
    assert "complete in" in get(published, data)[-1]
    assert same(data, tones)
    assert names(data) == []  # archives are deleted once unpacked
    assert sorted(path.name for path in data.iterdir()) == ["archives", "tones"]
    assert raw_state(published, data) == ("present", [])
    before, changed = requests(server), (data / "tones" / "low-1.wav").stat().st_mtime_ns
    assert "nothing to do" in get(published, data)[-1]
    assert requests(server) == before
    assert (data / "tones" / "low-1.wav").stat().st_mtime_ns == changed


def test_archives_are_kept_where_asked(published: Dataset, tmp_path: Path):
    get(published, tmp_path / "data", keep=True)
    assert names(tmp_path / "data") == ["high.tar.gz", "low.z01", "low.zip"]


def test_a_finished_archive_is_not_fetched_again_when_another_fails(
    published: Dataset, server: Server, tones: Path, tmp_path: Path
):
    data = tmp_path / "data"
    good, server["high.tar.gz"].data = server["high.tar.gz"].data, b"x" * 500
    with pytest.raises(DownloadError, match=r"high\.tar\.gz") as caught:
        get(published, data)
    assert "\n" not in str(caught.value)
    assert raw_state(published, data)[0] == "partial"
    found = scan(published, data, "real")
    assert not found["present"]
    assert "fetched in part, high.tar.gz is missing; run `benchmark fetch tones`" in found["reason"]
    server["high.tar.gz"].data = good
    seen = len(server["low.zip"].requests)
    get(published, data)
    assert same(data, tones)
    assert len(server["low.zip"].requests) == seen
    assert scan(published, data, "real")["present"]


def test_absent_data_says_what_to_run(published: Dataset, tmp_path: Path):
    assert scan(published, tmp_path / "data", "real")["reason"].endswith("; run `benchmark fetch tones`")


def test_a_folder_that_was_removed_is_fetched_again(published: Dataset, tones: Path, tmp_path: Path):
    get(published, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "tones")
    get(published, tmp_path / "data")
    assert same(tmp_path / "data", tones)


def test_a_changed_record_is_fetched_again(published: Dataset, tmp_path: Path):
    get(published, tmp_path / "data")
    type(published).archives = (*published.archives[:2], replace(published.archives[2], sha256="0" * 64))
    assert [unit.name for unit in raw_state(published, tmp_path / "data")[1]] == ["high.tar.gz"]


@pytest.mark.parametrize("where", ["archives", "archives/tones", "supplied folder", "supplied file"])
def test_archives_that_the_user_brings_are_taken_and_kept(
    published: Dataset, server: Server, tones: Path, tmp_path: Path, where: str
):
    data, options = tmp_path / "data", {}
    place = tmp_path / "downloads" if where.startswith("supplied") else data / where
    shutil.copytree(tmp_path / "packed", place)
    if where == "supplied folder":
        options = {"supplied": place}
    if where == "supplied file":
        options = {"supplied": place / "high.tar.gz"}
    get(published, data, **options)
    assert same(data, tones)
    assert requests(server) == (2 if where == "supplied file" else 0)
    assert all((place / archive.file).exists() for archive in published.archives)


def test_an_archive_that_the_user_brings_is_verified(published: Dataset, tmp_path: Path):
    place = tmp_path / "data" / "archives"
    place.mkdir(parents=True)
    (place / "high.tar.gz").write_bytes(b"x" * (published.archives[2].bytes or 0))
    with pytest.raises(DataError, match=r"high\.tar\.gz has the sha256 \w+ where \w+ is published"):
        get(published, tmp_path / "data")
    assert not list((tmp_path / "data" / "tones").glob("high*"))


@pytest.mark.parametrize("access", ["form", "login"])
def test_a_gated_set_stops_with_the_steps(server: Server, tones: Path, tmp_path: Path, access: str):
    dataset = publish(server, tones, tmp_path, access=access, steps="Fill in the form. Wait for the mail.")
    with pytest.raises(AccessError) as caught:
        get(dataset, tmp_path / "data")
    message = str(caught.value)
    for text in (
        "Fill in the form. Wait for the mail.",
        "low.z01, low.zip, high.tar.gz",
        "--from",
        "benchmark fetch tones",
    ):
        assert text in message
    assert "\n" not in message
    assert requests(server) == 0
    get(dataset, tmp_path / "data", supplied=tmp_path / "packed")
    assert same(tmp_path / "data", tones)


def test_what_the_user_collects_is_asked_for_after_the_rest(server: Server, tones: Path, tmp_path: Path):
    dataset = publish(server, tones, tmp_path, access="user-supplied", steps="Collect the media.")
    type(dataset).archives = dataset.archives[2:]

    def read(self: Dataset, folder: Path) -> Any:
        if not list(folder.glob("low-*")):
            raise DataError("No media.")
        return Tones.read(self, folder)  # type: ignore[arg-type]

    type(dataset).read = read  # type: ignore[method-assign, assignment]
    with pytest.raises(AccessError, match=r"Collect the media\..*No media"):
        get(dataset, tmp_path / "data")
    assert (tmp_path / "data" / "tones" / "high-0.wav").exists()
    shutil.copy(tones / "low-1.wav", tmp_path / "data" / "tones")
    assert "6 clips of 10" in get(dataset, tmp_path / "data")[-1]


class TestOwnFolder:
    def test_it_is_read_where_no_checksums_are_published(self, published: Dataset, server: Server, tones: Path):
        said = get(published, tones.parent)
        assert "10 clips read, of 10; no checksums are published" in said[-1]
        assert requests(server) == 0
        assert raw_state(published, tones.parent) == ("present", [])

    def listed(self, server: Server, tones: Path, tmp_path: Path) -> Dataset:
        sums = {path.stem: {"audio": [f"x/tones/{path.name}", md5(path)]} for path in tones.iterdir()}
        url = server.add("index.json", json.dumps({"version": "1", "clips": sums}).encode())
        return publish(server, tones, tmp_path, file_checksums=FileChecksums(url, "md5 of each wav"))

    def test_it_is_checked_file_by_file(self, server: Server, tones: Path, tmp_path: Path):
        dataset = self.listed(server, tones, tmp_path)
        (tones / "low-1.wav").unlink()  # a subset is accepted
        assert "9 of 10 published files are there, each as published" in get(dataset, tones.parent)[-1]

    def test_one_changed_file_is_named(self, server: Server, tones: Path, tmp_path: Path):
        dataset = self.listed(server, tones, tmp_path)
        (tones / "high-4.wav").write_bytes(b"changed")
        with pytest.raises(DataError, match=r"high-4\.wav has the md5"):
            get(dataset, tones.parent)

    @pytest.mark.parametrize("name", ["tones", "elsewhere"])
    @pytest.mark.parametrize("above", [True, False])
    def test_it_may_lie_elsewhere(
        self, published: Dataset, server: Server, tones: Path, tmp_path: Path, name: str, above: bool
    ):
        place = tmp_path / "mine" / name
        shutil.copytree(tones, place)
        supplied = place.parent if above and name == "tones" else place
        get(published, tmp_path / "data", supplied=supplied)
        assert (tmp_path / "data" / "tones").resolve() == place
        assert requests(server) == 0
        assert scan(published, tmp_path / "data", "real")["files"] == 10

    def test_a_folder_of_something_else_is_refused(
        self, published: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def read(self: Dataset, folder: Path) -> None:
            raise DataError("no tones here.")

        monkeypatch.setattr(type(published), "read", read)
        (tmp_path / "other").mkdir()
        with pytest.raises(DataError, match="holds neither an archive of tones nor its official layout"):
            get(published, tmp_path / "data", supplied=tmp_path / "other")
        with pytest.raises(DataError, match="does not exist"):
            get(published, tmp_path / "data", supplied=tmp_path / "nothing")


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_a_users_file_is_never_overwritten(published: Dataset, tones: Path, tmp_path: Path):
    data = tmp_path / "data"
    get(published, data)
    (data / "archives" / "tones.json").unlink()
    (data / "tones" / "high-0.wav").write_bytes(b"mine")
    receipt = Receipt(begun=True)
    receipt.write(data, "tones")
    with pytest.raises(DataError, match=r"high-0\.wav is there already and differs from the one in high\.tar\.gz"):
        get(published, data)
    assert (data / "tones" / "high-0.wav").read_bytes() == b"mine"


def test_zenodos_checksums_are_read_once_and_pinned(
    server: Server, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dataset = publish(server, tones, tmp_path)
    files = [
        {"key": a.file, "size": a.bytes, "checksum": f"md5:{md5(tmp_path / 'packed' / a.file)}"}
        for a in dataset.archives
    ]
    monkeypatch.setattr(fetch, "ZENODO", server.add("api", json.dumps({"files": files}).encode()) + "?{record}")
    type(dataset).archives = tuple(replace(a, bytes=None, sha256=None, zenodo=123) for a in dataset.archives)
    get(dataset, tmp_path / "data")
    receipt = Receipt.read(tmp_path / "data", "tones")
    assert receipt.installed["high.tar.gz"]["checksums"] == [files[2]["checksum"]]
    assert receipt.pins["low.zip"]["md5"] == md5(tmp_path / "packed" / "low.zip")
    assert len(server["api"].requests) == 1
    shutil.rmtree(tmp_path / "data" / "tones")
    server["high.tar.gz"].data = b"x" * len(server["high.tar.gz"].data)
    with pytest.raises(DownloadError, match=r"high\.tar\.gz has the md5"):
        get(dataset, tmp_path / "data")
    assert len(server["api"].requests) == 1


def test_without_zenodos_answer_it_says_so_and_goes_on(
    server: Server, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dataset = publish(server, tones, tmp_path)
    monkeypatch.setattr(fetch, "ZENODO", f"{server.address}/gone?{{record}}")
    type(dataset).archives = tuple(replace(a, sha256=None, zenodo=123) for a in dataset.archives)
    assert "no published checksum to compare with" in get(dataset, tmp_path / "data")[0]
    assert same(tmp_path / "data", tones)


def test_two_fetches_at_once_do_the_work_once(published: Dataset, server: Server, tones: Path, tmp_path: Path):
    said: list[str] = []
    both = [
        threading.Thread(target=fetch.fetch, args=(published, tmp_path / "data", Options(), said.append))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert same(tmp_path / "data", tones)
    assert requests(server) == 3
    assert any("waiting" in line or "nothing to do" in line for line in said)


def test_too_little_disk_is_said_before_the_first_byte(
    published: Dataset, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 0, 10))  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match="free space or give another folder with --data"):
        get(published, tmp_path / "data")
    assert requests(server) == 0


def test_a_code_hosts_name_of_the_top_folder_is_mended(server: Server, tones: Path, tmp_path: Path):
    class Hosted(Tones):
        pass

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(tones.iterdir()):
            archive.write(path, f"tones-26eb9aaf/{path.name}")
    Hosted.archives = (Archive("tones.zip", server.add("tones.zip", buffer.getvalue())),)
    get(Hosted(), tmp_path / "data")
    assert same(tmp_path / "data", tones)


def test_status(published: Dataset, server: Server, tmp_path: Path):
    data, total = tmp_path / "data", sum(archive.bytes or 0 for archive in published.archives)
    before = dataset_status(published, data, tmp_path)
    assert before["raw"] == "absent"
    assert before["missing_archives"] == ["low.z01", "low.zip", "high.tar.gz"]
    assert (before["bytes"], before["missing_bytes"], before["sizes_unknown"]) == (total, total, 0)
    get(published, data)
    manifest = tmp_path / "data" / "prepared" / "mini" / "tones-16000" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"dataset": "tones", "status": "ok", "sample_rate": 16000}))
    after = dataset_status(published, data, tmp_path)
    assert (after["raw"], after["missing_archives"], after["prepared"]) == ("present", [], {"mini": [16000]})


def test_an_interrupted_unpacking_leaves_nothing_and_is_repeated(
    published: Dataset, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*words: Any) -> list[str]:
        install(*words)
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "install", interrupted)
    with pytest.raises(KeyboardInterrupt):
        get(published, tmp_path / "data")
    assert raw_state(published, tmp_path / "data")[0] == "partial"  # in place, but not yet noted down
    monkeypatch.undo()
    get(published, tmp_path / "data")
    assert same(tmp_path / "data", tones)
    assert not list((tmp_path / "data").glob(".unpacking*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_stopped_goes_on_later(server: Server, tmp_path: Path, number: signal.Signals):
    """A real process, stopped in the middle of a download that stalls, and the same command again."""
    data = b"clip,label\n" * 100_000
    url = server.add("list.csv", data, stall=[400_000])
    code = f"""
import signal
import sys
from pathlib import Path
from benchmark.corpus import fetch
from benchmark.records import Archive
from tests.corpus.conftest import Tones
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a shell's background
Tones.archives = (Archive("list.csv", "{url}", bytes={len(data)}, into="tones"),)
fetch.fetch(Tones(), Path(sys.argv[1]))
"""
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=root, stderr=subprocess.PIPE)
    part = tmp_path / "archives" / "tones" / "list.csv.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size >= 300_000):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    server["list.csv"].stall.clear()
    process.communicate(timeout=60)
    assert process.returncode != 0
    begun = part.stat().st_size
    assert begun >= 300_000
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, check=True, capture_output=True)
    assert (tmp_path / "tones" / "list.csv").read_bytes() == data
    assert server["list.csv"].requests[-1]["Range"] == f"bytes={begun}-"
