"""The run families of a study with everything their evaluations left, checked against each other."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from benchmark.config import Study, TableSpec
from benchmark.errors import StaleArtifactError
from benchmark.jobs import ReportRun
from benchmark.statistics.cells import Cell, CellKey, stacked
from benchmark.statistics.inputs import Evaluation, snapshot_step

Role = Literal["baseline", "untrained", "supervised", "pre-trained"]


@dataclass(frozen=True)
class Family:
    """A run family: what the study says of it, and its cells over all seeds that ran."""

    study: str
    run: str
    facts: ReportRun
    role: Role
    method: str
    encoder: str
    data: str
    cells: dict[CellKey, Cell]
    not_run: dict[CellKey, str]
    """Cells that no seed, or not every seed, has; with the reason."""


class StudyResults:
    """The families of one study by name, in the order of the study's file."""

    def __init__(self, study: Study, runs: dict[str, ReportRun], evaluations: dict[str, Evaluation]) -> None:
        self.study = study
        ordered = [run for run in study.runs if run in runs]
        if unknown := [run for run in runs if run not in study.runs]:
            raise StaleArtifactError(f"The study {study.id} has no run {unknown[0]!r}; run `dvc repro` to plan again.")
        self.families = {run: self._family(run, runs[run], evaluations) for run in ordered}

    def cells(self) -> Iterator[tuple[Family, CellKey]]:
        """Every cell that was asked for, run or not, in a fixed order."""
        for family in self.families.values():
            for key in sorted({*family.cells, *family.not_run}):
                yield family, key

    def is_control(self, protocol: str) -> bool:
        """Whether a protocol shuffles the labels, so that nothing but chance is to be found."""
        return self.study.protocols[protocol].shuffled_labels

    def best_without_training(self, key: CellKey) -> float:
        """Best accuracy on a cell of a fixed feature or an Untrained encoder; 0 where there is none."""
        others = [f for f in self.families.values() if f.role in {"baseline", "untrained"} and key in f.cells]
        return max((family.cells[key].accuracy for family in others), default=0.0)

    def _family(self, run: str, facts: ReportRun, evaluations: dict[str, Evaluation]) -> Family:
        found = [evaluations[name].cells for name in facts.names]
        reasons: dict[CellKey, dict[str, str]] = {}
        for name in facts.names:
            for key, reason in _not_run(evaluations[name].scores).items():
                reasons.setdefault(key, {})[name] = reason
        keys = sorted({key for cells in found for key in cells})
        first = evaluations[facts.names[0]].scores.iloc[0]
        return Family(
            study=self.study.id,
            run=run,
            facts=facts,
            role=self._role(run),
            method=first["method"],
            encoder=first["encoder"],
            data=first["pretrain_dataset"],
            cells={
                key: stacked([cells[key] for cells in found if key in cells], f"{run} on {key.task}") for key in keys
            },
            not_run={key: _joined(by_name, facts.names) for key, by_name in sorted(reasons.items())},
        )

    def _role(self, run: str) -> Role:
        spec = self.study.runs[run]
        if spec.task or any(run in other.supervised.values() for other in self.study.runs.values()):
            return "supervised"
        if spec.untrained:
            return "pre-trained"
        return "untrained" if any(run == other.untrained for other in self.study.runs.values()) else "baseline"


def protocol_of_reference(protocol: str, scored: Sequence[str]) -> str | None:
    """Under which protocol a Supervised reference stands beside a cell: under the cell's own, else under its only one.

    Equation (1) trains encoder and head of Supervised together: it need not have been scored as a frozen encoder.
    """
    if protocol in scored:
        return protocol
    return scored[0] if len(scored) == 1 else None


def headline(study: Study, runs: Container[str]) -> TableSpec | None:
    """The study's first shown table of accuracies that is no control, which findings, metrics and plots are about, or None."""
    tables = shown_tables(study, runs).values()
    return next((table for table in tables if table.value == "accuracy" and not _is_control(study, table)), None)


def shown_tables(study: Study, runs: Container[str]) -> dict[str, TableSpec]:
    """The tables in which a profile with the ``runs`` has more to show than baselines; with baselines alone, all of theirs."""
    tables = study.tables
    full = {name: table for name, table in tables.items() if shown(study, table.rows, runs)}
    return full or {name: table for name, table in tables.items() if any(row in runs for row in table.rows)}


def shown(study: Study, rows: Sequence[str], runs: Container[str]) -> bool:
    """Whether a profile with the ``runs`` has something to show among ``rows``: a run with a reference, where there are such."""
    own = [row for row in rows if study.runs[row].untrained] or rows
    return any(row in runs for row in own)


def _is_control(study: Study, table: TableSpec) -> bool:
    """Whether a table is of classifiers that learned shuffled labels."""
    return all(study.protocols[name].shuffled_labels for name in table.protocols.values())


def cell_key(table: TableSpec, run: str, task: str) -> CellKey:
    """Which cell of a run a table shows for a task."""
    by_run = table.protocols
    return CellKey(task, by_run.get(run, by_run.get("default", "")), str(table.train_size))


def _not_run(scores: pd.DataFrame) -> dict[CellKey, str]:
    rows = scores[(scores["status"] != "ok") & scores["variant"].map(snapshot_step).isna()]
    return {CellKey(*key): reason for *key, reason in rows[[*CellKey._fields, "reason"]].itertuples(index=False)}


def _joined(by_name: dict[str, str], names: tuple[str, ...]) -> str:
    reasons = sorted(set(by_name.values()))
    if len(by_name) == len(names):
        return "; ".join(reasons)
    return f"{', '.join(sorted(by_name))}: {'; '.join(reasons)}"
