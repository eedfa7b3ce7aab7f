"""Training curves, read from the files that pre-training leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.errors import CorruptArtifactError
from benchmark.workspace import Workspace


@dataclass(frozen=True)
class Curve:
    """One scalar of one part of one run, by completed steps."""

    name: str
    """Run with its seed."""
    part: str
    scalar: str
    steps: list[int]
    values: list[float]


def read_curves(workspace: Workspace, name: str) -> list[Curve]:
    """Every curve of run ``name``, sorted; empty where nothing was trained.

    Raises:
        CorruptArtifactError: a file does not parse.
    """
    root = workspace.curves(name)
    return [_read(name, root, path) for path in sorted(root.rglob("*.tsv"))]


def _read(name: str, root: Path, path: Path) -> Curve:
    scalar, folders = path.stem, path.relative_to(root).parts
    try:
        table = pd.read_csv(path, sep="\t", usecols=["step", scalar])
    except (ValueError, pd.errors.ParserError) as error:
        reason = " ".join(str(error).split())
        raise CorruptArtifactError(
            f"{path} is not a readable curve ({reason}); delete it and run `dvc repro`."
        ) from error
    part = folders[0] if folders[0] != "plots" else "all"
    return Curve(name, part, scalar, table["step"].astype(int).tolist(), table[scalar].astype(float).tolist())
