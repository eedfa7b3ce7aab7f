"""What made two finished runs of a profile, fact by fact: what of it is the same and what is not. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from benchmark.artifacts import canonical_json
from benchmark.statistics.tolerance import Kind

_BOOKKEEPING = (
    *("settings.log_every", "settings.checkpoint_every", "settings.snapshots", "machine.workers", "host.cores"),
    *("title", "notes"),
)
"""Facts that no number depends on."""
_LONG = 40
_COVERAGE = ("allowed", "excluded", "used", "fingerprint")

Facet = Literal["setting", "protocol", "task", "coverage", "numerics", "seed", "code"]
_SECTIONS: dict[Facet, tuple[str, ...]] = {
    "setting": ("method", "encoder", "task", "method_config", "encoder_config", "settings"),
    "numerics": ("machine", "versions"),
    "seed": ("seed",),
    "code": ("code", "code_hash"),
}
"""Sections of a run's record, by what a difference in them is."""


@dataclass(frozen=True)
class Snapshot:
    """Everything that is known of one finished profile."""

    scores: pd.DataFrame
    """As ``scores.csv``, every value as text."""
    runs: Mapping[str, Mapping[str, Any]]
    """``provenance.json``: the record of every run by name."""
    host: Mapping[str, Any] = field(default_factory=dict)
    """The machine that it was made on; empty where nobody wrote it down."""
    protocols: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by ``study/protocol``; empty where nobody wrote them down."""
    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Records by task."""
    planned: Mapping[str, str] = field(default_factory=dict)
    """Key of the job that the plan holds for a run now; empty where there is no plan."""


@dataclass(frozen=True)
class Difference:
    """One fact about runs, protocols or tasks that is not what it was; None where a side lacks it."""

    facet: Facet
    path: str
    accepted: Any
    current: Any
    replaced: bool
    """Whether both sides state it: a parameter that came or went changes no experiment by itself."""
    of: tuple[str, ...]
    """The runs that it is true of."""

    def __str__(self) -> str:
        return f"{self.path} {shown(self.accepted)} → {shown(self.current)}"


def differences(accepted: Snapshot, current: Snapshot, names: Sequence[str]) -> list[Difference]:
    """Every fact that differs, with those of the runs ``names`` that it is true of; settings of protocols and tasks last."""
    found: dict[tuple[Facet, str, str], tuple[Any, Any, bool, list[str]]] = {}
    for name in names:
        for (facet, path), old, new, replaced in _unequal(_facts(accepted, name), _facts(current, name)):
            key = (facet, path, canonical_json([old, new]))
            found.setdefault(key, (old, new, replaced, []))[-1].append(name)
    return [
        *(
            Difference(facet, path, old, new, replaced, tuple(of))
            for (facet, path, _), (old, new, replaced, of) in found.items()
        ),
        *_record_differences("protocol", accepted.protocols, current.protocols, _users(accepted.scores, "protocol")),
        *_record_differences("task", accepted.tasks, current.tasks, _users(accepted.scores, "task")),
    ]


def kind_of(found: Sequence[Difference]) -> Kind | Literal["exact"]:
    """How a run is compared: exactly, unless something that moves numbers by itself differs."""
    facets = {difference.facet for difference in found if difference.replaced}
    return "seed" if "seed" in facets else "numerical" if "numerics" in facets else "exact"


def _record_differences(
    facet: Facet,
    accepted: Mapping[str, Mapping[str, Any]],
    current: Mapping[str, Mapping[str, Any]],
    users: Mapping[str, tuple[str, ...]],
) -> Iterator[Difference]:
    """Of the protocols or tasks that both sides describe."""
    for name in sorted(accepted.keys() & current.keys()):
        before, now = dict(_flat(accepted[name], "")), dict(_flat(current[name], ""))
        for path, old, new, replaced in _unequal(before, now):
            if path not in _BOOKKEEPING:
                yield Difference(facet, f"{facet} {name}: {path}", old, new, replaced, users.get(name, ()))


def _facts(side: Snapshot, name: str) -> dict[tuple[Facet, str], Any]:
    """What made a run's numbers, flat."""
    record = side.runs[name]
    data = side.scores.loc[side.scores["name"] == name, "pretrain_dataset"]
    facts: dict[tuple[Facet, str], Any] = {}
    if not data.empty:
        facts["setting", "pre-training data"] = data.iloc[0]
    for facet, sections in _SECTIONS.items():
        for section in (section for section in sections if section in record):
            facts |= {(facet, path): value for path, value in _flat(record[section], section)}
    facts |= {("numerics", path): value for path, value in _flat(side.host, "host")}
    for part in record.get("training", []):
        for corpus in part.get("clips", []):
            where = f"{part['part']}: {corpus['dataset']}"
            facts |= {("coverage", f"{where}: {fact}"): corpus[fact] for fact in _COVERAGE if fact in corpus}
    return {key: value for key, value in facts.items() if key[1] not in _BOOKKEEPING}


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _unequal(before: Mapping[Any, Any], now: Mapping[Any, Any]) -> Iterator[tuple[Any, Any, Any, bool]]:
    """What one side lacks is equal to a parameter that the other leaves unset."""
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            yield key, before.get(key), now.get(key), key in before and key in now


def _users(scores: pd.DataFrame, column: str) -> dict[str, tuple[str, ...]]:
    """Runs that are scored under a protocol (``study/protocol``) or on a task."""
    keys = scores["study"] + "/" + scores["protocol"] if column == "protocol" else scores[column]
    return {str(key): tuple(sorted(set(rows))) for key, rows in scores.groupby(keys)["name"]}


def shown(value: Any) -> str:
    """A fact as text, cut where it is long."""
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"
