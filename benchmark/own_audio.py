"""``benchmark add-audio``: a folder of audio with a CSV of labels, checked, becomes a dataset and a task of the checkout."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from tqdm import tqdm

from benchmark.artifacts import write_text
from benchmark.corpus.chunks import decoded, sources
from benchmark.corpus.labelled import PARTS, clips_table, file_faults, read_table
from benchmark.corpus.overlap import overlap
from benchmark.corpus.splits import JOIN, SPLIT_SEED, folds
from benchmark.corpus.store import CHECKSUM, MANIFEST, Corpus, checksum, read_manifest
from benchmark.errors import BenchmarkError, ConfigError, DataError
from benchmark.records import Task
from benchmark.scaffold import check_name
from benchmark.workspace import Workspace

MARK = "Written by `benchmark add-audio`."
RATE = 16_000
"""Hz at which audio is decoded to be checked: that of most corpora, so that checksums can be compared."""


@dataclass(frozen=True)
class Request:
    """What the user asks for."""

    folder: Path
    table: Path
    name: str
    columns: dict[str, str]
    """Role to column: ``file``, ``label``, and perhaps ``split`` or ``fold``, ``group``."""
    join: str = ""
    made_folds: int = 0
    licence: str = "not stated"
    workers: int = 2


@dataclass
class Checked:
    """What the checks found."""

    clips: pd.DataFrame
    """The clips table, with ``samples`` at :data:`RATE` and checksums where the audio could be decoded."""
    task: Task
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check(request: Request, root: Path) -> Checked:
    """Look for all that would spoil a score.

    Args:
        request: what is to become a dataset.
        root: the checkout, whose prepared corpora are compared with.

    Raises:
        ConfigError: the request contradicts itself.
        DataError: the table cannot be read.
    """
    _check_request(request)
    table = read_table(request.table, request.columns)
    checked = Checked(clips_table(request.name, table, request.join, request.made_folds), _task(request))
    checked.errors += [f"{fault}; mend the table or the folder" for fault in file_faults(request.folder, table["file"])]
    if "group" not in table:
        checked.warnings.append("no group column: each file is its own source, so leaks by source cannot be seen")
    checked.errors += _part_faults(checked)
    if not checked.errors:
        _listen(request, checked)
    if not checked.errors:
        _check_leaks(checked, root)
        try:
            folds(checked.task, checked.clips, SPLIT_SEED)
        except DataError as error:
            checked.errors.append(str(error).rsplit(";", 1)[0] + "; add clips of it, or leave the class out")
    return checked


def _check_request(request: Request) -> None:
    if not request.folder.is_dir():
        raise ConfigError(f"{request.folder} is no folder; name the one that holds the audio.")
    if not request.table.resolve().is_relative_to(request.folder.resolve()):
        raise ConfigError(
            f"{request.table} lies outside {request.folder}; move it there, so that the two stay together."
        )
    ways = [role for role in ("split", "fold") if role in request.columns] + ["folds"] * bool(request.made_folds)
    if len(ways) != 1:
        raise ConfigError(
            "Say in one way who trains and who tests: --split-column, --fold-column, or --folds 5 for folds that "
            "keep groups whole."
        )
    if request.made_folds == 1 or request.made_folds < 0:
        raise ConfigError("--folds must be at least 2.")


def _task(request: Request) -> Task:
    split = "split" if "split" in request.columns else None
    return Task(
        id=request.name,
        title=request.name.replace("_", " ").capitalize(),
        dataset=request.name,
        label="label",
        split_column=split,
        fold_column=None if split else "fold",
        kind="multi" if request.join else "single",
        metric="map" if request.join else "accuracy",
    )


def label_names(clips: pd.DataFrame) -> list[str]:
    """Every label, sorted."""
    return sorted({name for cell in clips["label"] for name in cell.split(JOIN) if name})


def _part_faults(checked: Checked) -> Iterator[str]:
    """Faults of classes and parts that the table alone tells."""
    clips, column = checked.clips, checked.task.split_column or "fold"
    names = label_names(clips)
    if len(names) < 2:
        yield f"there is only the label {', '.join(map(repr, names)) or 'none'}; a task needs two"
    if checked.task.kind == "single" and (joined := [name for name in set(clips["label"]) if JOIN in name]):
        yield f"the label {sorted(joined)[0]!r} holds a {JOIN!r}; rename it, or give --multi for several labels a file"
    if column == "split" and (unknown := sorted(set(clips["split"]) - {*PARTS, "unused"})):
        yield f"the split {unknown[0]!r} is none of {', '.join(PARTS)}, unused"
    across = clips[clips[column] != "unused"].groupby("group")[column].nunique()
    if (straddling := across[across > 1]).size:
        yield f"{straddling.size} groups lie in more than one {column}, {straddling.index[0]!r} for one; keep each in one"
    if checked.task.kind == "single":
        yield from _few(clips, column)


def _few(clips: pd.DataFrame, column: str) -> Iterator[str]:
    """Classes that lack sources: two to train on, of which one validates, and one to test."""
    for name, own in clips.groupby("label"):
        by_part = own.groupby(column)["group"].nunique()
        if column == "fold":
            trained = int(by_part.sum() - by_part.max())
            enough = trained >= 2
        else:
            trained = int(by_part.get("train", 0))
            enough = trained >= (1 if by_part.get("valid", 0) else 2) and bool(by_part.get("test", 0))
        if not enough:
            parts = ", ".join(f"{part}: {count}" for part, count in by_part.items())
            yield f"the label {name!r} has too few sources ({parts}); it needs two to train on and one to test"


def _listen(request: Request, checked: Checked) -> None:
    """Decode everything; notes lengths, checksums and identical audio."""
    files = sources(request.folder, checked.clips["path"].tolist())
    samples: list[int] = []
    checksums: list[str] = []
    try:
        with tqdm(total=len(files), desc=f"check {request.name}", unit="clip", disable=None) as progress:
            for chunk in decoded(request.folder, files, RATE, request.workers):
                samples += [len(clip.audio) for clip in chunk]
                checksums += [checksum(clip.audio.data) for clip in chunk]
                progress.update(len(chunk))
    except DataError as error:
        checked.errors.append(f"{str(error).rsplit(';', 1)[0]}; replace it, or remove it and its row")
        return
    checked.clips = checked.clips.assign(samples=samples, **{CHECKSUM: checksums})
    column = checked.task.split_column or "fold"
    same = checked.clips[checked.clips.duplicated(CHECKSUM, keep=False)].groupby(CHECKSUM)
    for _, twins in same:
        told = f"{twins['path'].iloc[0]!r} and {twins['path'].iloc[1]!r} are the same audio"
        if twins[column].nunique() > 1:
            checked.errors.append(f"{told}, in more than one {column}; remove one")
        elif twins["label"].nunique() > 1:
            checked.errors.append(f"{told}, under different labels; remove one")
        else:
            checked.warnings.append(f"{told}")


def _check_leaks(checked: Checked, root: Path) -> None:
    """Compare with every corpus of real audio that is prepared at the same rate."""
    looked: set[str] = set()
    for manifest in sorted((root / "data" / "prepared").glob(f"*/*-{RATE}/{MANIFEST}")):
        try:
            facts = read_manifest(manifest.parent)
            dataset = str(facts["dataset"])
            if facts["status"] != "ok" or facts["standin"] or dataset in {checked.task.dataset, *looked}:
                continue
            shared = overlap(checked.task, checked.clips, Corpus.open(manifest.parent).clips)
        except BenchmarkError as error:
            checked.warnings.append(f"not compared: {error}")
            continue
        looked.add(dataset)
        if shared.clips:
            checked.warnings.append(
                f"{shared.clips} of {shared.of} test clips are in {dataset} too ({shared.identical} the same audio); "
                "runs that pre-train on it drop them"
            )
    if not looked:
        checked.warnings.append(
            f"no corpus of real audio is prepared at {RATE} Hz: what pre-training shares with it is not known yet; "
            "run `benchmark leaks` later"
        )


def summary(checked: Checked) -> str:
    """Clips of each label and part, with seconds, for a terminal."""
    clips, column = checked.clips, checked.task.split_column or "fold"
    parts = sorted(set(clips[column])) if column in clips else []
    rows = [["label", *parts, "clips", "sources", "seconds"]]
    for name in [*label_names(clips), "all"]:
        own = clips if name == "all" else clips[[name in cell.split(JOIN) for cell in clips["label"]]]
        seconds = f"{own['samples'].sum() / RATE:.1f}" if "samples" in own else "-"
        counts = [str(int((own[column] == part).sum())) for part in parts]
        rows.append([name, *counts, str(len(own)), str(own["group"].nunique()), seconds])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return "\n".join(lines)


def add(request: Request, checked: Checked, workspace: Workspace, replace: bool) -> list[Path]:
    """Write the dataset's and the task's module, and link the folder into the data root where it lies elsewhere.

    Raises:
        ConfigError: the name is taken, or a file of that name is not one that this command wrote.
    """
    files = {
        workspace.root / "tasks" / "datasets" / f"{request.name}.py": "own_dataset.py.j2",
        workspace.root / "tasks" / f"{request.name}.py": "own_task.py.j2",
    }
    check_place(request.name, files, replace)
    words = {**_words(request, checked), "folder": _in_data_root(request, workspace.raw)}
    environment = Environment(
        loader=PackageLoader("benchmark"), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    environment.filters["json"] = partial(json.dumps, ensure_ascii=False)  # strings and whole numbers: Python's too
    for file, template in files.items():
        write_text(file, environment.get_template(template).render(words))
    return list(files)


def check_place(name: str, files: Iterable[Path], replace: bool) -> None:
    """Check that nothing else has the name.

    Raises:
        ConfigError: it is bad or taken, or a file of that name is not one that this command wrote.
    """
    there = [file for file in files if file.exists()]
    if not there:
        check_name("dataset", name)
        check_name("task", name)
    foreign = [file for file in there if MARK not in file.read_text(encoding="utf-8")]
    if foreign or (there and not replace):
        hint = "choose another name" if foreign else "give --replace to write it anew"
        raise ConfigError(f"{(foreign or there)[0]} is already there; {hint}.")


def _words(request: Request, checked: Checked) -> dict[str, Any]:
    column = checked.task.split_column or "fold"
    return {
        "mark": MARK,
        "name": request.name,
        "cls": "".join(part.capitalize() for part in request.name.split("_")),
        "request": request,
        "task": checked.task,
        "csv": request.table.resolve().relative_to(request.folder.resolve()).as_posix(),
        "sha256": hashlib.sha256(request.table.read_bytes()).hexdigest(),
        "classes": tuple(label_names(checked.clips)),
        "clips": len(checked.clips),
        "splits": {str(part): int(count) for part, count in sorted(checked.clips[column].value_counts().items())},
    }


def _in_data_root(request: Request, raw: Path) -> str:
    """The folder's path below the data root; a link of the dataset's name is made there where it lies elsewhere."""
    folder, root = request.folder.resolve(), raw.resolve()
    if folder != root and folder.is_relative_to(root):
        return folder.relative_to(root).as_posix()
    link = raw / request.name
    if link.is_symlink() and link.resolve() == folder:
        return request.name
    if link.exists() or link.is_symlink():
        raise ConfigError(f"{link} is already there and is another folder; choose another name or remove it.")
    raw.mkdir(parents=True, exist_ok=True)
    os.symlink(folder, link, target_is_directory=True)
    return request.name
