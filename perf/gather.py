"""Random 975 ms crops a second: one gather from the packed corpus against a DataLoader that decodes files in 2 workers.

Both read the same clips in random order and give batches of 64 crops: ESC-50's real recordings where BENCHMARK_DATA
holds them, else its stand-in. The file cache is warm for both. Target: at least 50 times as fast.

The same gather is also set against memory bandwidth: copies of as many samples that lie side by side in the corpus.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from benchmark import registry
from benchmark.corpus.prepare import prepare
from benchmark.corpus.standin import ensure_standin
from benchmark.corpus.store import Corpus
from benchmark.seeding import numpy_stream
from benchmark.signal.crops import independent_starts
from perf.measure import alternate, report

RATE = 16_000
CROP = int(0.975 * RATE)
BATCH = 64
WORKERS = 2


class DecodeAndCrop(Dataset[torch.Tensor]):
    """The usual way: open the clip's file, read it, crop."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        samples, rate = soundfile.read(self.files[index], dtype="float32")
        length = CROP * rate // RATE
        start = int(torch.randint(len(samples) - length + 1, ()))
        return torch.from_numpy(samples[start : start + length])


def drain(loader: DataLoader[torch.Tensor]) -> None:
    for _ in loader:
        pass


def gather(corpus: Corpus, epochs: int) -> None:
    samples = corpus.clips["samples"].to_numpy(np.int64)
    for epoch in range(epochs):
        order = numpy_stream(0, "gather", epoch).permutation(len(corpus))
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            starts = independent_starts(numpy_stream(0, "gather", epoch, first), samples[rows] - CROP, 1)[:, 0]
            corpus.gather(rows, starts, CROP)


def copy(corpus: Corpus, shard: NDArray[np.int16], epochs: int) -> None:
    """Copies of whole batches' worth of neighbouring samples: what memory can give at best."""
    batches = -(-len(corpus) // BATCH)
    room = len(shard) - BATCH * CROP
    for number in range(epochs * batches):
        start = number * BATCH * CROP % room
        shard[start : start + BATCH * CROP].copy()


def measure(folder: Path) -> dict[str, object]:
    dataset = registry.load("dataset", "esc50")
    data = os.environ.get("BENCHMARK_DATA")
    raw = Path(data) / dataset.folder if data else folder / "standin"
    if not data:
        ensure_standin(dataset, raw)
    prepare(dataset, raw, folder / "corpus", RATE, WORKERS, standin=not data, cache=folder / "cache")
    corpus = Corpus.open(folder / "corpus")
    files = [raw / path for path in corpus.clips["path"]]
    decoded_epochs, gathered_epochs = 2, 100  # so that both take long enough to be timed
    loader = DataLoader(
        DecodeAndCrop(files * decoded_epochs), BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True
    )
    times = alternate(lambda: drain(loader), lambda: gather(corpus, gathered_epochs))
    shard = np.asarray(np.memmap(corpus.folder / corpus.manifest["shards"][0]["file"], "<i2", "r"))
    memory = alternate(lambda: copy(corpus, shard, gathered_epochs), lambda: gather(corpus, gathered_epochs))
    batches = gathered_epochs * -(-len(corpus) // BATCH)
    decoded = len(files) * decoded_epochs / times["baseline_s"]
    gathered = len(corpus) * gathered_epochs / times["candidate_s"]
    return {
        "audio": f"{len(corpus)} clips of ESC-50, {'real' if data else 'stand-in'}",
        "baseline": f"DataLoader, {WORKERS} workers, decode and crop",
        "baseline_crops_per_s": round(decoded),
        "gather_crops_per_s": round(gathered),
        "ratio": gathered / decoded,
        "target": 50,
        "decoded_epochs": decoded_epochs,
        "decoded_s": times["baseline_times_s"],
        "gathered_epochs": gathered_epochs,
        "gathered_s": times["candidate_times_s"],
        "against_memory": {
            "copied_gb_per_s": batches * BATCH * CROP * 2 / memory["baseline_s"] / 1e9,
            "gathered_gb_per_s": len(corpus) * gathered_epochs * CROP * 2 / memory["candidate_s"] / 1e9,
            "copied_s": memory["baseline_times_s"],
            "gathered_s": memory["candidate_times_s"],
        },
    }


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        report("gather", measure(Path(folder)))


if __name__ == "__main__":
    main()
