"""Where things lie. Every path below ``build/``, ``data/prepared/`` and ``results/`` carries its profile."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import ConfigError


@dataclass(frozen=True)
class Workspace:
    """Paths of one profile below the project's root; relative to it unless the environment says otherwise."""

    root: Path
    profile: str

    @classmethod
    def here(cls, profile: str) -> Workspace:
        """The workspace of the checkout that the current folder lies in."""
        return cls(project_root(), profile)

    @property
    def raw(self) -> Path:
        """Folder that holds the datasets' own folders: ``BENCHMARK_DATA``, else ``data/raw``."""
        return Path(os.environ.get("BENCHMARK_DATA") or self.root / "data" / "raw")

    @property
    def cache(self) -> Path:
        """Finished checkpoints and evaluation cells: ``BENCHMARK_CACHE``, else ``.cache/benchmark``."""
        return Path(os.environ.get("BENCHMARK_CACHE") or self.root / ".cache" / "benchmark")

    @property
    def build(self) -> Path:
        """Everything that stages hand to each other."""
        return self.root / "build" / self.profile

    @property
    def results(self) -> Path:
        """What a reader looks at: scores, tables, figures, report."""
        return self.root / "results" / self.profile

    def standin(self, dataset: str) -> Path:
        """Where a dataset's stand-in is written, in its official layout."""
        return self.root / "data" / "standin" / self.profile / dataset

    def scan(self, dataset: str) -> Path:
        """What the scan found of a dataset."""
        return self.build / "scan" / f"{dataset}.json"

    def corpus(self, dataset: str, rate: int) -> Path:
        """A prepared dataset at one sample rate in Hz."""
        return self.root / "data" / "prepared" / self.profile / f"{dataset}-{rate}"

    def manifest(self, dataset: str, rate: int) -> Path:
        """Copy of a corpus's manifest, on which the plan depends."""
        return self.build / "prepared" / f"{dataset}-{rate}.json"

    def plan(self, stage: str, name: str) -> Path:
        """The resolved configuration of one stage."""
        return self.build / "plan" / stage / f"{name}.json"

    def run(self, run: str) -> Path:
        """What a pre-training stage leaves: exported encoders and run.json."""
        return self.build / "runs" / run

    def curves(self, run: str) -> Path:
        """Training curves of a run, one folder a part."""
        return self.build / "curves" / run

    def throughput(self, run: str) -> Path:
        """How fast a run was trained: kept apart, since it differs every time."""
        return self.build / "timings" / "throughput" / f"{run}.json"

    def evaluation(self, run: str) -> Path:
        """What an evaluation stage leaves: scores and predictions."""
        return self.build / "evaluations" / run


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above ``start`` with ``params.yaml`` and ``studies/``; other DVC projects have the first too."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "params.yaml").is_file() and (folder / "studies").is_dir():
            return folder
    raise ConfigError(
        f"No checkout of the benchmark (params.yaml beside studies/) at {start} or above; run the command inside one."
    )
