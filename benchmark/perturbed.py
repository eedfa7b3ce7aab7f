"""Reruns of a profile that differ from it in nothing but numerics or the seed, to measure how far noise moves a score.

A rerun is a child process in a workspace of its own, which shares prepared data and the cache: jobs that differ have keys that
differ, and what is finished is not done again. Free of torch; ``python -m benchmark.perturbed ROOT PROFILE`` is the child.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from tqdm import tqdm

from benchmark.artifacts import read_json, write_text
from benchmark.columns import SCORE_COLUMNS
from benchmark.config import Params, load_params
from benchmark.ending import end_after
from benchmark.errors import ConfigError, StaleArtifactError
from benchmark.plan import active_stages, entries, make_plan, profile_of
from benchmark.provenance import commit, host
from benchmark.registry import nearest
from benchmark.stages import evaluate_stage, pretrain_stage
from benchmark.statistics.findings import steps_of
from benchmark.statistics.inputs import read_table
from benchmark.statistics.movements import cell_movements
from benchmark.statistics.rows import DECIMALS
from benchmark.statistics.tolerance import Kind, Movements, Tolerance, beyond_the_others, measure
from benchmark.workspace import Workspace

INSTRUCTIONS: dict[str, dict[str, str]] = {
    "native": {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "sse4.1": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
}
"""What makes the numerical libraries use the kernels of a lesser processor; other architectures ignore it."""

_ABOVE = {"avx2": "avx512f", "sse4.1": "avx2"}
"""The vector instructions without which a processor uses these kernels, or lesser ones, anyway."""


@dataclass(frozen=True)
class Perturbation:
    """One way in which a rerun differs."""

    name: str
    kind: Kind
    threads: int | None = None
    """None leaves the configured threads."""
    instructions: str = "native"
    seed: int = 0
    """Added to the configured seed."""


@dataclass(frozen=True)
class Rerun:
    """What a rerun left."""

    scores: pd.DataFrame
    """As ``scores.csv``, every value as text."""
    trained: Mapping[str, bool]
    """By run name, whether it has pre-training."""


def perturbations(numerical: int, seeds: int, threads: int, instructions: str) -> list[Perturbation]:
    """Other threads and kernels, then other seeds.

    Few threads and the processor's own kernels first, so that already two reruns differ in both.

    Args:
        numerical: how many of the first kind.
        seeds: how many of the second.
        threads: the configured number, of which the native kernels are no perturbation.
        instructions: the processor's, as :func:`.provenance.host` names them; kernels that it uses anyway are none.
    """
    kernels = [name for name in INSTRUCTIONS if name not in _ABOVE or _ABOVE[name] in instructions.split()]
    pairs = sorted(product(range(1, numerical + 2), range(len(kernels))), key=sum)
    ways = ((n, kernels[lesser]) for n, lesser in pairs if (n, lesser) != (threads, 0))
    return [
        *(Perturbation(_named(*way), "numerical", *way) for way in islice(ways, numerical)),
        *(Perturbation(f"seed + {offset}", "seed", seed=offset) for offset in range(1, seeds + 1)),
    ]


def _named(threads: int, instructions: str) -> str:
    kernels = "" if instructions == "native" else f", {instructions} kernels"
    return f"{threads} thread{'s' if threads > 1 else ''}{kernels}"


def measure_tolerance(
    workspace: Workspace, numerical: int, seeds: int, only: Sequence[str] = ()
) -> tuple[Tolerance, dict[str, Any]]:
    """Rerun a profile under perturbations; the tolerance, and a JSON-able record of how it was measured.

    Each rerun is also held against the tolerance that the others of its kind give: what a fresh machine would have met.

    Args:
        workspace: the profile, with its data prepared.
        numerical: reruns with other threads and kernels.
        seeds: reruns with other seeds.
        only: run families; all where it is empty.

    Raises:
        StaleArtifactError: the profile's data is not prepared.
        ConfigError: an unknown run family.
    """
    made_by, machine = commit(workspace.root), host()
    threads = load_params(workspace.root).machine_of(workspace.profile).threads
    ways = perturbations(numerical, seeds, threads, machine["instructions"])
    with tempfile.TemporaryDirectory() as folder:
        unperturbed = rerun(workspace, Path(folder) / "unperturbed", None, only)
        movements: list[Movements] = []
        for way in tqdm(ways, desc="perturbed reruns", unit="run", disable=None):
            scores = rerun(workspace, Path(folder) / way.name, way, only).scores
            movements.append((way.kind, cell_movements(unperturbed.scores, scores)))
    counts = beyond_the_others(movements, unperturbed.trained)
    measured = [_summary(way, table, beyond) for way, (_, table), beyond in zip(ways, movements, counts, strict=True)]
    record = {"commit": made_by, "host": machine, "runs": sorted(unperturbed.trained), "perturbations": measured}
    return measure(movements, unperturbed.trained), record


def _summary(way: Perturbation, table: pd.DataFrame, beyond: int | None) -> dict[str, Any]:
    return {
        "name": way.name,
        "kind": way.kind,
        "cells": len(table),
        "moved": int((table["moved"] != 0).sum()),
        "largest": round(float(table["moved"].abs().max()), DECIMALS),
        "beyond_tolerance_of_the_others": beyond,
    }


def rerun(workspace: Workspace, folder: Path, perturbation: Perturbation | None, only: Sequence[str] = ()) -> Rerun:
    """Run a profile, or the run families ``only``, under a perturbation (None: as it is) in the new folder ``folder``.

    Raises:
        StaleArtifactError: the profile's data is not prepared.
        ConfigError: an unknown run family.
    """
    changed = perturbation or Perturbation("", "numerical")
    params = write_project(workspace, folder, changed, only)
    own = Workspace(folder, workspace.profile)
    cache = workspace.cache.resolve()
    cache = cache if changed.instructions == "native" else cache / "instructions" / changed.instructions
    environment = {**os.environ, "BENCHMARK_CACHE": str(cache), **INSTRUCTIONS[changed.instructions]}
    command = [sys.executable, "-m", "benchmark.perturbed", str(folder), workspace.profile]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The rerun with {changed.name or 'nothing changed'} failed:\n{done.stderr}")
    names = params.active.runs
    scores = [read_table(own.evaluation(name) / "scores.csv", SCORE_COLUMNS) for name in names]
    records = {name: read_json(own.run(name) / "run.json") for name in names}
    return Rerun(pd.concat(scores, ignore_index=True), {name: steps_of(record) > 0 for name, record in records.items()})


def write_project(workspace: Workspace, folder: Path, perturbation: Perturbation, only: Sequence[str]) -> Params:
    """``params.yaml``, the studies and the prepared data of a rerun."""
    if not (workspace.build / "prepared").is_dir():
        raise StaleArtifactError(f"The data of profile {workspace.profile} is not prepared; run `dvc repro` first.")
    params = load_params(workspace.root)
    profile = profile_of(params, workspace.profile)
    where = f"profiles.{workspace.profile}"
    families = [entry.family for entry in entries(workspace.root, profile, where, params.active.only)]
    if unknown := [family for family in only if family not in families]:
        raise ConfigError(f"Profile {workspace.profile} has no run {unknown[0]!r}: {nearest(unknown[0], families)}")
    left_out = [family for family in families if only and family not in only]
    stated = params.machine_of(workspace.profile)
    machine = stated.model_copy(update={"threads": perturbation.threads or stated.threads})
    profile = profile.model_copy(update={"skip": (*profile.skip, *left_out), "machine": machine})
    params = params.model_copy(
        update={
            "profile": (workspace.profile,),
            "seed": params.seed + perturbation.seed,
            "profiles": {workspace.profile: profile},
        }
    )
    active = active_stages(workspace.root, params, workspace.profile, params.active.only)
    settings: dict[str, Any] = {**params.model_dump(mode="json", exclude_none=True), "active": active}
    own = Workspace(folder, workspace.profile)
    write_text(folder / "params.yaml", yaml.safe_dump(settings, sort_keys=False))
    (folder / "studies").symlink_to(workspace.root.resolve() / "studies")
    (folder / "data").symlink_to(workspace.root.resolve() / "data")
    shutil.copytree(workspace.build / "prepared", own.build / "prepared")
    return load_params(folder)


def main() -> None:
    """Plan, pre-train and evaluate every run of the workspace named on the command line."""
    workspace = Workspace(Path(sys.argv[1]), sys.argv[2])
    make_plan(workspace).write()
    for run, stage in product(load_params(workspace.root).active.runs, (pretrain_stage, evaluate_stage)):
        stage(workspace, run)


if __name__ == "__main__":
    end_after(main)
