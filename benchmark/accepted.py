"""Accepted runs on disk: what `benchmark accept` records of a profile and `benchmark compare` reads back. Free of torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmark.artifacts import atomic_path, content_hash, hash_file, read_json, write_json, write_text
from benchmark.columns import SCORE_COLUMNS
from benchmark.errors import ReferenceRunError
from benchmark.jobs import ReportJob, read_job
from benchmark.provenance import commit, committed_text, host, versions
from benchmark.selection import differs_in_selection_alone
from benchmark.statistics.differences import Snapshot
from benchmark.statistics.inputs import read_table, scores_folder
from benchmark.statistics.movements import inconsistent_runs
from benchmark.statistics.rows import read_rows, write_rows
from benchmark.statistics.tolerance import Tolerance, ToleranceRow
from benchmark.timing import as_text, ledger
from benchmark.workspace import Workspace

COPIED = ("scores/scores.csv", "scores/summary.csv", "scores/provenance.json", "metrics.json")
"""Files of a profile's results that a reference holds; the record of how it came about is ``accepted.json``."""
TIMINGS = "timings.txt"
PARAMS = "params.yaml"
OWN_CHANGES = ("results/reference", "dvc.lock")
"""Tracked files that accepting and running write themselves: they make no tree dirty."""


def reference_folder(workspace: Workspace) -> Path:
    """Where the accepted run of a profile lies."""
    return workspace.root / "results" / "reference" / workspace.profile


def read_current(workspace: Workspace) -> Snapshot:
    """The present results of a profile.

    Raises:
        StaleArtifactError, CorruptArtifactError: they are missing or damaged.
    """
    plan = workspace.build / "plan"
    evaluate = [read_json(file) for file in sorted((plan / "evaluate").glob("*.json"))]
    pretrain = {file.stem: read_json(file) for file in sorted((plan / "pretrain").glob("*.json"))}
    return Snapshot(
        scores=read_table(scores_folder(workspace) / "scores.csv", SCORE_COLUMNS),
        runs=read_json(scores_folder(workspace) / "provenance.json"),
        host=host(),
        protocols={
            f"{job['study']}/{name}": protocol for job in evaluate for name, protocol in job["protocols"].items()
        },
        tasks={ref["task"]: ref["record"] for job in evaluate for ref in job["tasks"]},
        planned={name: content_hash(job) for name, job in pretrain.items()},
    )


def read_accepted(folder: Path) -> tuple[Snapshot, Tolerance]:
    """A reference and its tolerance, which is empty where none was measured.

    Raises:
        ReferenceRunError: there is no reference.
        StaleArtifactError, CorruptArtifactError: it is incomplete or damaged.
    """
    if not (folder / "scores" / "scores.csv").is_file():
        raise ReferenceRunError(
            f"There is no accepted run in {folder}; look at the present results and record them with `benchmark accept`."
        )
    record: Mapping[str, Any] = read_json(folder / "accepted.json") if (folder / "accepted.json").exists() else {}
    accepted = Snapshot(
        scores=read_table(folder / "scores" / "scores.csv", SCORE_COLUMNS),
        runs=read_json(folder / "scores" / "provenance.json"),
        host=record.get("host", {}),
        protocols=record.get("protocols", {}),
        tasks=record.get("tasks", {}),
    )
    return accepted, read_tolerance(folder)


def read_tolerance(folder: Path) -> Tolerance:
    """The measured tolerance of a reference; empty where there is none."""
    file = folder / "tolerance.csv"
    return Tolerance(tuple(read_rows(file, ToleranceRow))) if file.exists() else Tolerance()


def write_tolerance(folder: Path, tolerance: Tolerance, measurement: Mapping[str, Any]) -> None:
    """Write ``tolerance.csv`` and, in ``tolerance.json``, how it was measured; what was measured of other runs stays."""
    write_rows(folder / "tolerance.csv", ToleranceRow, read_tolerance(folder).updated(tolerance).rows)
    file = folder / "tolerance.json"
    earlier = read_json(file)["measurements"] if file.exists() else []
    others = [entry for entry in earlier if not set(entry["runs"]) <= set(measurement["runs"])]
    write_json(file, {"measurements": [*others, measurement]})


def accept(
    workspace: Workspace, allow_dirty: bool = False, folder: Path | None = None, all_files: bool = False
) -> list[str]:
    """Record the present results of a profile as a reference; returns the files that an older reference holds beside it.

    Args:
        workspace: of the profile.
        allow_dirty: although the tree has uncommitted changes.
        folder: where to; by default the profile's own.
        all_files: keep also what a reader looks at, in place of all that an older reference holds of it.

    Raises:
        ReferenceRunError: scores are missing or were not run, belong to other weights, or the tree has uncommitted changes.
        StaleArtifactError, CorruptArtifactError: the results are missing or damaged.
    """
    state = commit(workspace.root, ignoring=_own_changes(workspace.root))
    if not allow_dirty and (state == "unknown" or state.endswith("+changes")):
        why = "is not a git checkout" if state == "unknown" else "has uncommitted changes"
        raise ReferenceRunError(
            f"The tree {why}, so that nobody could make these results again; commit first, or pass --allow-dirty."
        )
    current = read_current(workspace)
    _require_complete(workspace, current)
    folder = folder or reference_folder(workspace)
    sources = {name: workspace.results / name for name in COPIED}
    if all_files:
        sources |= _read_beside(workspace, sorted(current.runs))
        _remove_folders_of(sources, folder)
        write_text(folder / TIMINGS, f"{as_text(ledger(workspace))}\n")
    for name, source in sources.items():
        with atomic_path(folder / name) as copy:
            shutil.copyfile(source, copy)
    record = {
        "profile": workspace.profile,
        "commit": state,
        "host": dict(current.host),
        "versions": versions(),
        "files": {name: hash_file(folder / name) for name in COPIED},
        "configuration": {name: run["key"] for name, run in sorted(current.runs.items())},
        "protocols": current.protocols,
        "tasks": current.tasks,
        "tolerance": hash_file(folder / "tolerance.csv") if (folder / "tolerance.csv").exists() else None,
    }
    write_json(folder / "accepted.json", record)
    mine = {*sources, *([TIMINGS] if all_files else []), "accepted.json", "tolerance.csv", "tolerance.json"}
    others = (str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    return sorted(set(others) - mine)


def _read_beside(workspace: Workspace, runs: list[str]) -> dict[str, Path]:
    """Scores, tables, pictures of figures and records of runs that a reader looks at, by their names in a reference."""
    found = {f"runs/{run}.json": workspace.run(run) / "run.json" for run in runs}
    for pattern in ("scores/*.*", "tables/*/*.*", "figures/*/*.png"):
        files = (file for file in workspace.results.glob(pattern) if file.is_file())
        found |= {str(file.relative_to(workspace.results)): file for file in files}
    return found


def _remove_folders_of(names: Iterable[str], folder: Path) -> None:
    """Remove the folders below a reference in which files of these names lie."""
    for below in {name.split("/")[0] for name in names if "/" in name}:
        if (folder / below).exists():
            shutil.rmtree(folder / below)


def _own_changes(root: Path) -> tuple[str, ...]:
    """Paths whose changes make no tree dirty: ``params.yaml`` too, where another profile was selected and no more."""
    committed, file = committed_text(root, PARAMS), root / PARAMS
    selected = (
        committed is not None and file.exists() and differs_in_selection_alone(committed, file.read_text("utf-8"))
    )
    return (*OWN_CHANGES, PARAMS) if selected else OWN_CHANGES


def _require_complete(workspace: Workspace, current: Snapshot) -> None:
    job = read_job(ReportJob, workspace.plan("report", "aggregate"))
    planned = [name for runs in job.runs.values() for facts in runs.values() for name in facts.names]
    scored = set(current.scores["name"])
    if absent := [name for name in planned if name not in scored or name not in current.runs]:
        raise ReferenceRunError(f"The results lack the run {absent[0]}; run `dvc repro` to its end before accepting.")
    lost = current.scores[(current.scores["status"] != "ok") & (current.scores["weights_hash"] == "")]
    if not lost.empty:  # other cells have data and weights, and too few clips: that is what the profile is
        first = lost.iloc[0]
        raise ReferenceRunError(
            f"{len(lost)} scores were not run, {first['name']} on {first['task']} for one ({first['reason']}); "
            "an accepted run is complete."
        )
    if mixed := inconsistent_runs(current.scores, current.runs):
        raise ReferenceRunError(
            f"{mixed[0]} was scored with other weights than its record holds; run `dvc repro --force` on its evaluation."
        )
