"""Readers on mutated metadata: a sound clips table or one sentence, never a crash, a hang or a file from elsewhere.

``BENCHMARK_FUZZ=5000`` tries as many mutations a dataset.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.corpus.layout import MEDIA, walk
from benchmark.errors import DataError
from benchmark.records import Dataset
from benchmark.seeding import numpy_stream
from tests.tasks.conftest import standin_corpus

MUTATIONS = int(os.environ.get("BENCHMARK_FUZZ", "25"))

TOKENS = (
    *(
        b"",
        b"0",
        b"1",
        b"-1",
        b"\xc2\xb2",
        b"nan",
        b"NULL",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b'"',
        b'""',
        b"'",
        b",",
    ),
    *(
        b"\t",
        b"\n",
        b"\r",
        b"\r\n",
        b"|",
        b"../../etc/passwd",
        b"/",
        b"\\",
        b"A" * 5000,
        b"9" * 400,
        b"test",
        b"train",
        b" ",
    ),
)

UNREAD = {"dcase2013_scenes": "dcase2013_task1_filenamekey.csv", "librispeech100": ".trans.txt"}
"""Ends of the names of official files that a reader does not need."""

Mutation = Callable[[np.random.Generator, bytes], bytes]


def flip_bits(generator: np.random.Generator, content: bytes) -> bytes:
    damaged = np.frombuffer(content, np.uint8).copy()
    places = generator.integers(len(damaged), size=int(generator.integers(1, 8)))
    damaged[places] ^= np.uint8(1) << generator.integers(8, size=len(places)).astype(np.uint8)
    return damaged.tobytes()


def cut(generator: np.random.Generator, content: bytes) -> bytes:
    start, end = np.sort(generator.integers(len(content) + 1, size=2))
    return content[:start] + content[end:]


def insert(generator: np.random.Generator, content: bytes) -> bytes:
    place = int(generator.integers(len(content) + 1))
    return content[:place] + TOKENS[generator.integers(len(TOKENS))] + content[place:]


def shuffle_lines(generator: np.random.Generator, content: bytes) -> bytes:
    lines = content.split(b"\n")
    first, second = generator.integers(len(lines), size=2)
    lines[first] = lines[second]
    if generator.uniform() < 0.5:
        del lines[int(generator.integers(len(lines)))]
    return b"\n".join(lines)


def change_field(generator: np.random.Generator, content: bytes) -> bytes:
    separator = b"\t" if b"\t" in content else b","
    lines = content.split(b"\n")
    row = int(generator.integers(len(lines)))
    fields = lines[row].split(separator)
    other = lines[int(generator.integers(len(lines)))].split(separator)
    value = TOKENS[generator.integers(len(TOKENS))] if generator.uniform() < 0.5 else other[-1]
    fields[int(generator.integers(len(fields)))] = value
    lines[row] = separator.join(fields)
    return b"\n".join(lines)


def nothing(generator: np.random.Generator, content: bytes) -> bytes:
    return b"" if generator.uniform() < 0.5 else content.split(b"\n")[0]


KINDS: tuple[Mutation, ...] = (flip_bits, cut, insert, insert, shuffle_lines, change_field, change_field, nothing)


def skeleton(dataset: Dataset, root: Path, folder: Path) -> list[Path]:
    """The stand-in with empty audio files, which readers do not open; returns its metadata files."""
    standin_corpus(root, dataset)
    metadata = []
    for file in walk(root / "raw" / dataset.id):
        copy = folder / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        if copy.suffix in MEDIA:
            copy.touch()
        else:
            shutil.copyfile(root / "raw" / dataset.id / file.path, copy)
            if not file.path.endswith(UNREAD.get(dataset.id, "\0")):
                metadata.append(copy)
    return sorted(metadata)


def check(dataset: Dataset, folder: Path) -> bool:
    """Whether the folder is read; asserts that it is read well or refused in one sentence."""
    try:
        clips = dataset.read(folder)
    except DataError as refusal:
        sentence = str(refusal)
    else:
        check_table(dataset, folder, clips)
        return True
    assert "\n" not in sentence
    assert len(sentence) < 20_000
    return False


def check_table(dataset: Dataset, folder: Path, clips: pd.DataFrame) -> None:
    """Assert that the table is one that could be prepared."""
    assert isinstance(clips, pd.DataFrame)
    assert clips["clip_id"].is_unique
    assert clips["path"].is_unique
    assert clips["path"].map(lambda path: (folder / path).is_file()).all()
    for parent in {(folder / path).parent for path in clips["path"]}:
        assert parent.resolve().is_relative_to(folder.resolve())
    for column, names in dataset.labels.items():
        assert set(clips[column]) <= set(names)
    for column, names in dataset.multi_labels.items():
        assert {name for cell in clips[column] for name in cell.split("|") if name} <= set(names)
    assert clips["group"].map(type).eq(str).all()


def test_mutated_metadata(dataset: Dataset, root: Path, tmp_path: Path):
    files = skeleton(dataset, root, tmp_path)
    assert check(dataset, tmp_path)
    if not files:
        pytest.skip("no metadata: everything is in the names of the files")
    generator = numpy_stream(0, "fuzzing", dataset.id)
    refused = 0
    for _ in range(MUTATIONS):
        file = files[int(generator.integers(len(files)))]
        content = file.read_bytes()
        file.write_bytes(KINDS[generator.integers(len(KINDS))](generator, content))
        refused += not check(dataset, tmp_path)
        file.write_bytes(content)
    assert refused > 0
    assert check(dataset, tmp_path)


def test_renamed_files(dataset: Dataset, root: Path, tmp_path: Path):
    skeleton(dataset, root, tmp_path)
    generator = numpy_stream(0, "fuzzing names", dataset.id)
    audio = sorted(file.path for file in walk(tmp_path) if Path(file.path).suffix in MEDIA)
    for _ in range(max(10, MUTATIONS // 4)):
        path = tmp_path / audio[int(generator.integers(len(audio)))]
        letters = list(path.name)
        letters[int(generator.integers(len(letters)))] = "aZ0-_. é|;"[generator.integers(10)]
        renamed = path.with_name("".join(letters))
        if renamed.exists():
            continue
        path.rename(renamed)
        check(dataset, tmp_path)
        renamed.rename(path)


def test_metadata_that_is_a_folder(dataset: Dataset, root: Path, tmp_path: Path):
    for file in skeleton(dataset, root, tmp_path):
        content = file.read_bytes()
        file.unlink()
        file.mkdir()
        check(dataset, tmp_path)
        file.rmdir()
        file.write_bytes(content)


@pytest.mark.parametrize("mutate", KINDS)
def test_mutations_mutate(mutate: Mutation):
    content = b"a,b\n1,2\n3,4\n"
    assert any(mutate(np.random.default_rng(seed), content) != content for seed in range(20))
