from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmark.corpus import chunks, decode, shards
from benchmark.corpus.prepare import prepare, prepare_corpus
from benchmark.corpus.scan import scan
from benchmark.corpus.standin import ensure_standin
from benchmark.corpus.store import Corpus
from benchmark.errors import DataError, StorageError
from benchmark.workspace import Workspace
from tests.corpus.conftest import RATE, Tones


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_CLIPS", 3)


def run(tones: Path, root: Path, name: str = "corpus", rate: int = RATE, workers: int = 1) -> Corpus:
    prepare(Tones(), tones, root / name, rate, workers, True, root / "cache", shard_bytes=8_000)
    return Corpus.open(root / name)


def journal(root: Path) -> Path:
    return root / ".corpus.partial" / shards.JOURNAL


def interrupt(tones: Path, root: Path, monkeypatch: pytest.MonkeyPatch, after: int = 7) -> int:
    """Stop a preparation before it decodes its file number ``after``; returns how many clips it has finished."""
    real_decode, seen = decode.decode, []

    def interrupted(path: Path, rate: int) -> decode.Waveform:
        seen.append(path.name)
        if len(seen) > after:
            raise KeyboardInterrupt
        return real_decode(path, rate)

    with monkeypatch.context() as patch:
        patch.setattr(decode, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tones, root)
    return len(journal(root).read_text().splitlines()) - 1


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_clip_is_its_file(tones: Path, tmp_path: Path):
    corpus = run(tones, tmp_path)
    assert corpus.clips.columns.tolist() == ["clip_id", "path", "group", "class", "samples", "checksum"]
    for row, path in enumerate(corpus.clips["path"]):
        original, _ = soundfile.read(tones / path, dtype="int16")
        np.testing.assert_array_equal(corpus.clip(row), original)


def test_shards_are_bounded_and_the_manifest_adds_up(tones: Path, tmp_path: Path):
    manifest = run(tones, tmp_path).manifest
    assert len(manifest["shards"]) > 1
    assert all(shard["bytes"] <= 8_000 for shard in manifest["shards"])
    assert sum(shard["bytes"] for shard in manifest["shards"]) == 2 * manifest["samples"]
    assert manifest["coverage"] == {"clips": 10, "expected_clips": 10, "groups": 10}
    assert manifest["classes"] == {"class": {"low": 5, "high": 5}}
    assert manifest["dropped"] == []
    assert str(tmp_path) not in (tmp_path / "corpus" / "manifest.json").read_text()


def test_two_runs_and_any_number_of_workers_give_the_same_bytes(tones: Path, tmp_path: Path):
    folders = [run(tones, tmp_path / str(n), workers=n, rate=11_025).folder for n in (1, 2, 5)]
    folders.append(run(tones, tmp_path / "1", rate=11_025).folder)
    assert all(contents(folder) == contents(folders[0]) for folder in folders[1:])


def test_the_fingerprint_is_that_of_the_content(tones: Path, tmp_path: Path):
    first = run(tones, tmp_path)
    prepare(Tones(), tones, tmp_path / "one-shard", RATE, 1, True, tmp_path / "cache")
    assert Corpus.open(tmp_path / "one-shard").fingerprint == first.fingerprint
    assert run(tones, tmp_path, "other-rate", rate=11_025).fingerprint != first.fingerprint
    (tones / "low-1.wav").touch()
    assert run(tones, tmp_path, "touched").fingerprint == first.fingerprint
    soundfile.write(tones / "low-1.wav", np.zeros(100), RATE)
    assert run(tones, tmp_path, "changed").fingerprint != first.fingerprint


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_preparation_resumes_to_the_same_bytes(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
):
    whole = run(tones, tmp_path / "whole")
    real_decode, eighth, seen = decode.decode, Path(whole.clips["path"][7]).name, []

    def interrupted(path: Path, rate: int) -> decode.Waveform:
        if path.name == eighth:
            raise KeyboardInterrupt
        return real_decode(path, rate)

    monkeypatch.setattr(decode, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tones, tmp_path, workers=workers)
    assert not (tmp_path / "corpus" / "manifest.json").exists()
    finished = journal(tmp_path).read_text().splitlines()[1:]
    assert finished

    monkeypatch.setattr(decode, "decode", lambda path, rate: seen.append(path.name) or real_decode(path, rate))
    resumed = run(tones, tmp_path, workers=workers)
    assert len(seen) == 10 - len(finished)
    assert contents(resumed.folder) == contents(whole.folder)


@pytest.mark.slow
def test_killed_at_any_moment(tones: Path, tmp_path: Path):
    """Kill -9 of a real process, again and again, each time a little later; then let it finish."""
    whole = run(tones, tmp_path / "whole")
    script = (
        "import sys, time; from pathlib import Path; from benchmark.corpus import chunks, decode;"
        "from tests.corpus.conftest import Tones; from benchmark.corpus.prepare import prepare;"
        "real = decode.decode; decode.decode = lambda path, rate: (time.sleep(0.05), real(path, rate))[1];"
        "chunks.MAX_CLIPS = 3; root = Path(sys.argv[2]); print('ready', flush=True);"
        f"prepare(Tones(), Path(sys.argv[1]), root / 'corpus', {RATE}, 2, True, root / 'cache', shard_bytes=8_000)"
    )
    command = [sys.executable, "-c", script, str(tones), str(tmp_path)]
    for delay in (0.05, 0.2, 0.25):
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.wait()
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True)
    assert contents(tmp_path / "corpus") == contents(whole.folder)


def test_interrupted_between_a_clip_and_its_line(tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = run(tones, tmp_path / "whole")
    assert interrupt(tones, tmp_path, monkeypatch)
    lines = journal(tmp_path).read_bytes()
    journal(tmp_path).write_bytes(lines[:-20])
    assert contents(run(tones, tmp_path).folder) == contents(whole.folder)


def test_interrupted_before_the_corpus_moved_in_place(tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = run(tones, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(tones, tmp_path)
    assert contents(run(tones, tmp_path).folder) == contents(whole.folder)


@pytest.mark.parametrize("change", ["file", "rate", "shard"])
def test_what_a_journal_tells_of_other_samples_is_not_used(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
):
    finished = interrupt(tones, tmp_path, monkeypatch)
    assert finished > 3
    if change == "file":  # the third of the clips in the journal, with a clip as long in its place
        path = tones / sorted(path.name for path in tones.iterdir())[2]
        samples, _ = soundfile.read(path)
        soundfile.write(path, samples[::-1], RATE)
    rate, size = (11_025 if change == "rate" else RATE), (9_000 if change == "shard" else 8_000)
    seen: list[str] = []
    real_decode = decode.decode
    monkeypatch.setattr(decode, "decode", lambda path, rate: seen.append(path.name) or real_decode(path, rate))
    prepare(Tones(), tones, tmp_path / "corpus", rate, 1, True, tmp_path / "cache", size)
    assert len(seen) == (8 if change == "file" else 10)
    prepare(Tones(), tones, tmp_path / "whole", rate, 1, True, tmp_path / "cache", size)
    assert contents(tmp_path / "corpus") == contents(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "journal"])
def test_damage_to_what_was_finished_is_seen_and_mended(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
):
    whole = run(tones, tmp_path / "whole")
    interrupt(tones, tmp_path, monkeypatch)
    shard = tmp_path / ".corpus.partial" / "audio-00000.i16"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "gone":
        shard.unlink()
    elif damage == "journal":
        journal(tmp_path).write_bytes(b"\0" * 100)
    else:
        shard.write_bytes(data if damage == "flipped" else data[:-2])
    assert contents(run(tones, tmp_path).folder) == contents(whole.folder)


def test_nothing_unfinished_is_left_once_the_corpus_is_complete(tones: Path, tmp_path: Path):
    folder = run(tones, tmp_path).folder
    assert not journal(tmp_path).parent.exists()
    assert not (folder / shards.JOURNAL).exists()


def test_chunks_are_bounded_in_files_and_bytes(tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = Tones().read(tones)["path"].tolist()
    monkeypatch.setattr(chunks, "MAX_BYTES", 5_000)
    split = list(chunks.split_into_chunks(chunks.sources(tones, paths)))
    assert [file.path for chunk in split for file in chunk] == paths
    for chunk in split:
        assert len(chunk) <= 3
        assert len(chunk) == 1 or sum((tones / file.path).stat().st_size for file in chunk) <= 5_000


def test_decoding_is_never_far_ahead(tones: Path, monkeypatch: pytest.MonkeyPatch):
    started: list[str] = []
    real_decode = decode.decode
    monkeypatch.setattr(decode, "decode", lambda path, rate: started.append(path.name) or real_decode(path, rate))
    monkeypatch.setattr(chunks, "MAX_CLIPS", 1)
    files = chunks.sources(tones, Tones().read(tones)["path"].tolist())
    stream = chunks.decoded(tones, files, RATE, 2)
    next(stream)
    time.sleep(0.1)
    assert len(started) <= 1 + 3
    stream.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_undecodable_file_is_named(tones: Path, tmp_path: Path, workers: int):
    (tones / "low-5.wav").write_text("not audio")
    with pytest.raises(DataError, match=r"low-5\.wav is not audio .* known_bad") as caught:
        run(tones, tmp_path, workers=workers)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "corpus").exists()


def test_a_known_bad_file_is_left_out_and_counted(tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tones / "low-5.wav").write_text("not audio")
    monkeypatch.setattr(Tones, "known_bad", {"low-5.wav": "a page of text"})
    corpus = run(tones, tmp_path)
    assert corpus.manifest["dropped"] == [{"clip_id": "low-5", "path": "low-5.wav", "reason": "a page of text"}]
    assert "low-5" not in set(corpus.clips["clip_id"])
    assert corpus.clips.index.tolist() == list(range(9))


def test_no_clip_at_all(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no clip of tones"):
        run(tmp_path / "empty", tmp_path)


def test_clipped_samples_are_counted(tones: Path, tmp_path: Path):
    loud = np.zeros(100)
    loud[:3] = 1.5
    soundfile.write(tones / "low-1.wav", loud, RATE, subtype="FLOAT")
    assert run(tones, tmp_path).manifest["clipped"] == {"clips": 1, "samples": 3}


def test_a_full_disk_is_one_sentence(tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            run(tones, tmp_path)
    run(tones, tmp_path)


def test_it_replaces_what_was_there(tones: Path, tmp_path: Path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "audio-00099.i16").write_bytes(b"old")
    assert not (run(tones, tmp_path).folder / "audio-00099.i16").exists()


def test_the_stage_prepares_standins_and_real_data_and_records_absence(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BENCHMARK_DATA", str(tones.parent))
    monkeypatch.setenv("BENCHMARK_CACHE", str(tmp_path / "cache"))
    workspace = Workspace(tmp_path, "test")
    ensure_standin(Tones(), workspace.standin("tones"))
    for data in ("standin", "real"):
        manifest = prepare_corpus(Tones(), scan(Tones(), workspace.raw, data), workspace, RATE, 1)
        assert manifest["standin"] == (data == "standin")
        assert len(Corpus.open(workspace.corpus("tones", RATE), manifest["fingerprint"])) == 10
    monkeypatch.setenv("BENCHMARK_DATA", str(tmp_path / "nowhere"))
    manifest = prepare_corpus(Tones(), scan(Tones(), workspace.raw, "real"), workspace, RATE, 1)
    assert manifest["status"] == "absent"
    assert "no folder tones" in manifest["reason"]
    assert [path.name for path in workspace.corpus("tones", RATE).iterdir()] == ["manifest.json"]
