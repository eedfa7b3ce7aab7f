"""Files are whole or absent, and what is damaged or foreign is never used."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from benchmark.artifacts import (
    Cache,
    atomic_path,
    canonical_json,
    content_hash,
    hash_arrays,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
    write_text,
)
from benchmark.errors import CorruptArtifactError, StaleArtifactError, StorageError

ARRAYS = {"weight": np.arange(12, dtype=np.float32).reshape(3, 4), "step": np.array(7)}


def test_equal_values_have_equal_hashes_whatever_the_order():
    assert content_hash({"a": 1, "b": [1.5, None]}) == content_hash({"b": [1.5, None], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 1.0 + 1e-12})
    assert canonical_json({"b": 1, "a": 2}) == '{"a":2,"b":1}'


def test_array_hash_sees_names_types_shapes_and_bytes():
    base = hash_arrays({"a": np.zeros(4, np.float32)})
    others = [{"b": np.zeros(4, np.float32)}, {"a": np.zeros(4, np.int32)}, {"a": np.zeros((2, 2), np.float32)}]
    assert all(hash_arrays(other) != base for other in others)


def test_an_interrupted_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path):
    target = tmp_path / "file.txt"
    write_text(target, "old")

    def interrupted() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_arrays_and_record_survive_a_round_trip(tmp_path: Path):
    write_arrays(tmp_path / "a.safetensors", ARRAYS, {"key": "k", "n": 3})
    arrays, record = read_arrays(tmp_path / "a.safetensors", {"key": "k"})
    assert record == {"key": "k", "n": 3}
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)


def test_arrays_made_for_another_key_are_stale(tmp_path: Path):
    write_arrays(tmp_path / "a.safetensors", ARRAYS, {"key": "k"})
    with pytest.raises(StaleArtifactError, match="was made for key='k'"):
        read_arrays(tmp_path / "a.safetensors", {"key": "other"})


@pytest.mark.parametrize("damage", ["truncate", "flip", "text", "empty"])
def test_damaged_arrays_are_named_and_refused(tmp_path: Path, damage: str):
    path = tmp_path / "a.safetensors"
    write_arrays(path, ARRAYS, {"key": "k"})
    data = bytearray(path.read_bytes())
    if damage == "truncate":
        data = data[:-5]
    elif damage == "flip":
        data[-1] ^= 1
    else:
        data = bytearray(b"not a file of ours" if damage == "text" else b"")
    path.write_bytes(bytes(data))
    with pytest.raises(CorruptArtifactError, match=r"a\.safetensors .*delete it"):
        read_arrays(path)


def test_missing_and_damaged_json_say_what_to_do(tmp_path: Path):
    with pytest.raises(StaleArtifactError, match="does not exist; run `dvc repro`"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"a": ')
    with pytest.raises(CorruptArtifactError, match=r"bad\.json is not readable JSON"):
        read_json(tmp_path / "bad.json")
    write_json(tmp_path / "good.json", {"b": 1})
    assert read_json(tmp_path / "good.json") == {"b": 1}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file-size limit as on Linux")
def test_a_full_disk_is_one_sentence_and_keeps_the_old_file(tmp_path: Path):
    """A file-size limit stands in for a full disk: the system call fails in the same way."""
    target = tmp_path / "a.safetensors"
    write_arrays(target, ARRAYS, {"key": "old"})
    code = (
        "import resource, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from benchmark.artifacts import write_arrays\n"
        "from benchmark.errors import StorageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    write_arrays(Path(sys.argv[1]), {'x': np.zeros(10000)}, {'key': 'new'})\n"
        "except StorageError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=True)
    assert "Cannot write" in done.stdout
    assert "free space" in done.stdout
    assert read_arrays(target)[1] == {"key": "old"}


def test_an_unwritable_folder_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="Cannot write"):
        write_text(tmp_path / "file" / "below.txt", "x")


def test_cache_returns_what_was_put_under_the_same_key_only(tmp_path: Path):
    cache = Cache(tmp_path)
    assert cache.get("cells", "k") is None
    cache.put("cells", "k", ARRAYS, {"n": 1})
    found = cache.get("cells", "k")
    assert found is not None
    assert found[1] == {"key": "k", "n": 1}
    os.replace(cache.path("cells", "k"), cache.path("cells", "other"))
    with pytest.raises(StaleArtifactError):
        cache.get("cells", "other")


def test_a_second_holder_of_a_lock_waits_for_the_first(tmp_path: Path):
    cache, order = Cache(tmp_path), []

    def second() -> None:
        with Cache(tmp_path).lock("cells", "k"):
            order.append("second")

    with cache.lock("cells", "k"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(timeout=0.2)
        order.append("first")
    thread.join(timeout=5)
    assert order == ["first", "second"]
