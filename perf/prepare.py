"""Preparing a dataset: its overhead over bare decode and resample, its gain from a second worker, and its memory.

Speed is measured on ESC-50 twice: on the stand-in, whose 44.1 kHz files are resampled as the real set's are, and on the real
recordings in BENCHMARK_DATA where it is set, as they are there. The file cache is warm. Targets: at most 15 % over the
bare loop; memory that does not grow with the number of clips.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import soundfile

from benchmark import registry
from benchmark.corpus.decode import decode, to_int16
from benchmark.corpus.prepare import prepare
from benchmark.corpus.standin import ensure_standin
from benchmark.corpus.synthesis import write_wav
from benchmark.records import Dataset
from perf.measure import alternate, report

RATE = 16_000
CLIPS = (100, 1_000, 10_000)
REPEATS = 3
_SAMPLES = 8_000  # of each of the small clips whose memory is measured


class ManyClips(Dataset):
    """``{number}.wav`` in one folder: noise of half a second each."""

    id = "many"
    title = homepage = licence = citation = folder = "many"
    labels: ClassVar[dict[str, tuple[str, ...]]] = {"parity": ("even", "odd")}
    expected_clips = 0

    def __init__(self, clips: int = 0) -> None:
        self.clips = clips

    def read(self, folder: Path) -> pd.DataFrame:
        """Every file is a clip."""
        names = sorted(path.stem for path in folder.glob("*.wav"))
        return pd.DataFrame(
            {
                "clip_id": names,
                "path": [f"{name}.wav" for name in names],
                "group": [f"many:{name}" for name in names],
                "parity": [("even", "odd")[int(name) % 2] for name in names],
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """As many clips as asked for."""
        for number in range(self.clips):
            noise = np.random.default_rng([seed, number]).integers(-3000, 3000, _SAMPLES).astype(np.int16)
            write_wav(folder / f"{number:06d}.wav", noise.astype(np.float32) / 32768, RATE)


def bare(files: list[Path]) -> None:
    """The work that cannot be spared: decode, resample, quantise; nothing is kept."""
    for file in files:
        to_int16(decode(file, RATE))


def prepared(dataset: Dataset, raw: Path, folder: Path, workers: int, standin: bool) -> None:
    """A preparation from nothing, in a folder of its own: what an earlier one left is not removed while the clock runs."""
    new = Path(tempfile.mkdtemp(dir=folder))
    prepare(dataset, raw, new / "corpus", RATE, workers, standin, new / "cache")


def measure_speed(raw: Path, folder: Path, standin: bool) -> dict[str, object]:
    """Overhead over the bare loop, one worker, and the gain from a second."""
    dataset = registry.load("dataset", "esc50")
    files = [raw / path for path in dataset.read(raw)["path"]]

    def one() -> None:
        prepared(dataset, raw, folder, 1, standin)

    def two() -> None:
        prepared(dataset, raw, folder, 2, standin)

    overhead, workers = alternate(lambda: bare(files), one, REPEATS), alternate(one, two, REPEATS)
    return {
        "audio": f"{len(files)} clips at {soundfile.info(files[0]).samplerate} Hz",
        "overhead": overhead["candidate_s"] / overhead["baseline_s"] - 1,
        "speed_up_with_two_workers": workers["ratio"],
        "bare_s": overhead["baseline_times_s"],
        "prepare_one_worker_s": overhead["candidate_times_s"],
        "prepare_two_workers_s": workers["candidate_times_s"],
    }


def measure_memory(folder: Path) -> dict[str, object]:
    """Peak memory of a process that prepares so many small clips."""
    peaks = {}
    for clips in CLIPS:
        raw = folder / f"many-{clips}"
        raw.mkdir()
        ManyClips(clips).write_standin(raw, 0)
        command = [sys.executable, "-m", "perf.prepare", "memory", str(raw), str(folder)]
        peaks[clips] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        shutil.rmtree(raw)
    return {
        "peak_mib": {str(clips): peak / 1024 for clips, peak in peaks.items()},
        "peak_growth": peaks[CLIPS[-1]] / peaks[CLIPS[0]],
        "written_mib": {str(clips): clips * _SAMPLES * 2 / 2**20 for clips in CLIPS},
    }


def peak_kib() -> int:
    """Peak resident memory of this process alone; getrusage would count what the parent held when it forked."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1])


def main() -> None:
    if sys.argv[1:2] == ["memory"]:
        prepared(ManyClips(), Path(sys.argv[2]), Path(sys.argv[3]), 2, standin=True)
        print(peak_kib())
        return
    dataset, data = registry.load("dataset", "esc50"), os.environ.get("BENCHMARK_DATA")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ensure_standin(dataset, folder / "standin")
        results: dict[str, object] = {"target_overhead": 0.15, "rate": RATE}
        results["resampled"] = measure_speed(folder / "standin", folder, standin=True)
        if data:
            results["real"] = measure_speed(Path(data) / dataset.folder, folder, standin=False)
        report("prepare", {**results, **measure_memory(folder)})


if __name__ == "__main__":
    main()
