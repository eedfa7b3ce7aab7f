"""A miniature project of its own: the real engine and dvc.yaml, three small runs on stand-in data."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
BOOKKEEPING = {"scan", "plan"}

PROTOCOLS = {
    "linear": {"head": "converged", "regularisers": [0.01, 1.0]},
    "knn": {"head": "knn", "neighbours": [1, 5]},
}
SIMCLR = {
    "title": "SimCLR",
    "method": "simclr",
    "encoder": "tagliasacchi_cnn",
    "data": ["nsynth"],
    "evaluate": ["fsdd_digit_official"],
    "protocols": ["linear", "knn"],
    "untrained": "untrained",
    "method_config": {"temperature": 0.2},
    "training": {"optimizer": "adamw", "lr": 0.001, "schedule": "cosine"},
}
UNTRAINED = {
    **{key: SIMCLR[key] for key in ("encoder", "data", "evaluate", "protocols")},
    "title": "Untrained",
    "method": "untrained",
}
FEATURES = {
    "title": "Log-mel statistics",
    "method": "fixed_features",
    "encoder": "logmel_statistics",
    "evaluate": ["fsdd_digit_official"],
    "protocols": ["linear"],
}
STUDY = {
    "id": "tiny",
    "title": "Tiny",
    "tasks": ["fsdd_digit_official"],
    "protocols": PROTOCOLS,
    "runs": {"features": FEATURES, "untrained": UNTRAINED, "simclr": SIMCLR},
    "tables": {
        "accuracy": {
            "caption": "Accuracy",
            "rows": ["features", "untrained", "simclr"],
            "tasks": ["fsdd_digit_official"],
            "protocol": "linear",
        }
    },
}
PROFILE: dict[str, Any] = {
    "studies": ["tiny"],
    "rates": {"default": [16000]},
    "seeds": {"default": 1},
    "runs": {"default": {"width": 0.0625, "steps": 6, "batch_size": 8, "checkpoint_every": 2, "log_every": 1}},
    "bootstrap": 50,
}
PARAMS = {
    "profile": ["standin"],
    "active": {"corpora": [], "runs": [], "studies": []},
    "seed": 0,
    "machine": {"device": "cpu", "threads": 1, "workers": 1},
    "profiles": {"standin": {"data": "standin", **PROFILE}, "real": {"data": "real", **PROFILE}},
}


@dataclass(frozen=True)
class Project:
    """A checkout in a temporary folder, driven as a user drives it."""

    root: Path
    loaded: Mapping[str, str] = field(default_factory=dict)
    """What commands have in their environment to be forks of a process that has loaded the libraries.

    Nothing where each is to start alone: see :mod:`benchmark.warm`.
    """

    @classmethod
    def create(cls, root: Path, loaded: Mapping[str, str] | None = None) -> Project:
        """Copy the engine and the pipeline, write a small study, select the stand-in profile."""
        for package in ("benchmark", "methods", "tasks"):
            shutil.copytree(ROOT / package, root / package)  # with what Python has compiled of it
        for file in ("dvc.yaml", ".dvcignore", ".gitignore"):
            shutil.copy(ROOT / file, root / file)
        (root / ".dvc").mkdir()
        for file in ("config", ".gitignore"):
            shutil.copy(ROOT / ".dvc" / file, root / ".dvc" / file)
        (root / "results").mkdir()
        shutil.copytree(ROOT / "results" / "published", root / "results" / "published")
        shutil.copy(ROOT / "results" / "errata.yaml", root / "results" / "errata.yaml")
        (root / "studies").mkdir()
        (root / "studies" / "tiny.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
        # through JSON, so that no YAML alias is written: DVC does not override a value below one
        (root / "params.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(PARAMS)), sort_keys=False))
        project = cls(root, loaded or {})
        project.run("git", "init", "--quiet")
        project.select("standin")
        project.commit()
        return project

    def copied(self, root: Path) -> Project:
        """A copy of the project as it is, with all that has run in it."""
        shutil.copytree(self.root, root, symlinks=True)
        return replace(self, root=root)

    @property
    def alone(self) -> Project:
        """The same project, whose commands start alone."""
        return replace(self, loaded={})

    @property
    def environment(self) -> dict[str, str]:
        """The copied packages come before the installed ones."""
        own = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(self.root)}
        quiet = {"DVC_NO_ANALYTICS": "1", "BENCHMARK_DATA": str(self.root / "raw"), "OMP_NUM_THREADS": "1"}
        return {**os.environ, **own, **quiet, **self.loaded}

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, which takes Ctrl-C however these tests were started."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command; standard error is part of the output."""
        process = self.start(*command)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0 or not check, output
        return subprocess.CompletedProcess(command, process.returncode, output)

    def commit(self) -> None:
        """Commit everything."""
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "project")

    def select(self, profile: str) -> None:
        """Select a profile."""
        self.run("benchmark", "select", profile)

    def repro(self) -> set[str]:
        """``dvc repro``; returns the names of the stages that ran, bookkeeping left out."""
        output = self.run("dvc", "repro").stdout
        stages = set(re.findall(r"Running stage '([^']+)'", output))
        return {stage for stage in stages if stage.split("@")[0] not in BOOKKEEPING}

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text that must be there."""
        path = self.root / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new, 1))

    def change_profile(self, profile: str, changes: Mapping[str, object]) -> None:
        """Change keys of a profile in params.yaml."""
        params = yaml.safe_load((self.root / "params.yaml").read_text())
        params["profiles"][profile].update(changes)
        (self.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def scores_folder(self, profile: str = "standin") -> Path:
        """Where aggregation leaves a profile's scores."""
        return self.root / "results" / profile / "scores"

    def scores(self, profile: str = "standin") -> dict[str, bytes]:
        """Every file of scores, by name."""
        return files_below(self.scores_folder(profile))


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file's bytes by its path below ``folder``."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
