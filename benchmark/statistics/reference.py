"""The reference check: a finished profile against its accepted run, exactly or within a measured tolerance. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.statistics.differences import Difference, Snapshot, differences, kind_of
from benchmark.statistics.findings import steps_of
from benchmark.statistics.movements import (
    HASHES,
    CellChange,
    cell_changes,
    inconsistent_runs,
    of_single_classes,
    only_on,
    paired,
    resized_folds,
    shared_cells,
)
from benchmark.statistics.tolerance import EXACT, Kind, Tolerance

CODE = {"code": "pre-training code", "code_hash": "evaluation code"}
"""What a difference of this name in a run's record is."""
_TELLING = ("setting", "protocol", "task", "coverage")


@dataclass(frozen=True)
class Comparison:
    """What a comparison found."""

    kinds: Mapping[str, Kind | Literal["exact"]]
    """How each run was compared: exactly, or within the tolerance of which kind."""
    cells: int
    """That both sides have."""
    changes: list[CellChange]
    """Cells that are not equal, worst first."""
    differences: list[Difference]
    missing: list[str]
    new: list[str]
    failures: list[str]
    """The sentences for which it does not pass; none where it does."""
    notes: list[str]

    @property
    def regressed(self) -> bool:
        """Whether anything is not as accepted beyond what noise explains."""
        return bool(self.failures)


def compare(accepted: Snapshot, current: Snapshot, tolerance: Tolerance) -> Comparison:
    """Set ``current`` against ``accepted``.

    A run whose machine, libraries, threads and seed are those of the accepted one must have the same score in every row. Other
    threads, libraries or processors may move a cell by the numerical tolerance, another seed by that of seeds. A rise counts
    as a fall does, because a leak looks like progress; and another experiment or a stale result fails whatever its scores.
    Scores of single classes are compared where they must be equal, and not where they may move.

    Args:
        accepted: the reference.
        current: the present results.
        tolerance: what was measured for the reference; an empty one allows nothing.
    """
    pairs = paired(accepted.scores, current.scores)
    names = [name for name in accepted.runs if name in current.runs]
    found = differences(accepted, current, names)
    by_run = {name: [difference for difference in found if name in difference.of] for name in names}
    kinds = {name: kind_of(by_run[name]) for name in names}

    def limit(name: str, task: str, protocol: str, metric: str, clips: int) -> float:
        if name not in kinds:
            return EXACT
        return tolerance.limit(kinds[name], name, task, protocol, metric, steps_of(accepted.runs[name]) > 0, clips)

    exact = pairs["name"].map(kinds) == "exact"
    changes = cell_changes(pairs[exact | ~of_single_classes(pairs)], limit)
    missing = only_on("accepted", pairs)
    return Comparison(
        kinds=kinds,
        cells=shared_cells(pairs),
        changes=changes,
        differences=found,
        missing=missing,
        new=only_on("current", pairs),
        failures=[
            *_other_experiment(found),
            *_moved(changes, by_run, kinds),
            *_other_clips(found),
            *resized_folds(pairs),
            *_stale(accepted, current, by_run, {change.name for change in changes}),
            *([f"Missing: {'; '.join(missing)}."] if missing else []),
        ],
        notes=list(_notes(accepted, changes, kinds, tolerance)),
    )


def _other_experiment(found: Sequence[Difference]) -> Iterator[str]:
    for difference in found:
        if difference.facet in {"setting", "protocol", "task"} and difference.replaced:
            yield f"Not the accepted experiment: {difference} ({_some(difference.of)}); accept it if it is intended."


def _moved(
    changes: Sequence[CellChange], by_run: Mapping[str, Sequence[Difference]], kinds: Mapping[str, str]
) -> Iterator[str]:
    """One sentence a run with cells beyond tolerance: the worst of them, and what could have done it."""
    beyond: dict[str, list[CellChange]] = {}
    for change in changes:
        if change.beyond:
            beyond.setdefault(change.name, []).append(change)
    for name, cells in beyond.items():
        more = f"; {len(cells) - 1} more cells of this run" if len(cells) > 1 else ""
        yield f"{cells[0]}{more}. {_cause(cells, by_run.get(name, ()), kinds.get(name, 'exact'))}".rstrip()


def _cause(cells: Sequence[CellChange], found: Sequence[Difference], kind: str) -> str:
    """What differs and could have moved the cells, the most telling first."""
    telling = [str(difference) for difference in found if difference.facet in _TELLING]
    code = [CODE[difference.path] for difference in found if difference.facet == "code"]
    hashes = [what for what in HASHES.values() if any(what in cell.differing for cell in cells)]
    sentences = [f"Changed: {', '.join(telling[:3])}."] if telling else []
    sentences += [f"Other {' and '.join(code)}."] if code else []
    sentences += [f"Hashes that differ: {', '.join(hashes)}."] if hashes else []
    if kind == "exact" and not telling and not code:
        same = "Settings, code and machine are those of the accepted run"
        sentences.append(
            f"{same}: a stale checkpoint, or training that is not deterministic."
            if hashes
            else f"{same}, and so are weights and data: a stale or damaged cache entry, or a step that is not deterministic."
        )
    if any(cell.folds and cell.moved > 0 for cell in cells):
        sentences.append("Single folds that rise are what a leak looks like.")
    return " ".join(sentences)


def _other_clips(found: Sequence[Difference]) -> Iterator[str]:
    """Other clips in training although the audio is the same."""
    other_audio = {_corpus(difference) for difference in found if difference.path.endswith(": fingerprint")}
    for difference in found:
        counts = difference.facet == "coverage" and difference.path.endswith((": allowed", ": excluded"))
        if counts and difference.replaced and _corpus(difference) not in other_audio:
            fewer = difference.path.endswith("excluded") and difference.current < difference.accepted
            leak = "; clips that were kept out of training are let in: a leak" if fewer else ""
            yield f"Other clips of the same audio are trained on: {difference} ({_some(difference.of)}){leak}."


def _corpus(difference: Difference) -> str:
    return difference.path.rpartition(": ")[0]


def _stale(
    accepted: Snapshot, current: Snapshot, by_run: Mapping[str, Sequence[Difference]], moved: set[str]
) -> Iterator[str]:
    """Results that were not made by what they claim to be made by."""
    scored = set(current.scores["name"])
    for name in inconsistent_runs(current.scores, current.runs):
        yield f"Stale scores: {name} was scored with other weights than its run record holds; evaluate it again."
    for name, found in by_run.items():
        run, planned = current.runs[name], current.planned.get(name)
        if planned and planned != run.get("key"):
            yield f"Stale run: {name} was not made by the job that the plan holds now; run `dvc repro`."
        changed = [str(d) for d in found if d.replaced and d.facet in {"setting", "seed"}]
        if changed and steps_of(run):
            same = accepted.runs[name].get("weights") == run.get("weights")
            if same or (name in scored and name not in moved):
                what = "its weights are still the accepted ones" if same else "every score is still the accepted one"
                yield f"Stale cache: {name} has {', '.join(changed)}, but {what}."


def _notes(
    accepted: Snapshot, changes: Sequence[CellChange], kinds: Mapping[str, str], tolerance: Tolerance
) -> Iterator[str]:
    if within := [abs(change.moved) for change in changes if not change.beyond]:
        yield f"{len(within)} cells moved within tolerance, by at most {max(within):.1f} test clips, as noise alone can."
    if not accepted.host:
        yield "The accepted run does not say which machine made it; it is taken to be this one."
    if set(kinds.values()) - {"exact"} and not tolerance.rows:
        yield "No tolerance was measured for this reference, so none is allowed; `benchmark tolerance` measures it."


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"
