"""``benchmark new`` and ``benchmark check``: starting a plugin, and finding what is wrong with one before it costs a day."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from benchmark.workspace import project_root


class Skeleton(StrEnum):
    """What ``benchmark new`` can begin."""

    method = "method"
    encoder = "encoder"
    task = "task"
    dataset = "dataset"


def new(
    kind: Annotated[Skeleton, typer.Argument(help="What to begin.")],
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits and underscores.")],
    package: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder of an outside package to write it to; it is begun where there is none."),
    ] = None,
) -> None:
    """Write a working, tested skeleton of a method, an encoder, a task or a dataset."""
    from benchmark.scaffold import write_skeleton

    written = write_skeleton(
        kind.value, name, root=project_root() if package is None else package, outside=package is not None
    )
    for file in written.files:
        typer.echo(f"wrote {file}")
    typer.echo("Next:")
    for step in written.next_steps:
        typer.echo(f"  {step}")


def check(
    method: Annotated[str, typer.Argument(help="Method to check, in-tree or installed.")],
    encoder: Annotated[
        str, typer.Option(help="Encoder to check it on, at an eighth of its width.")
    ] = "tagliasacchi_cnn",
) -> None:
    """Pre-flight on synthetic audio, in seconds; says what is wrong in plain words, and then ends with exit code 1."""
    from benchmark import registry
    from benchmark.pretraining.preflight import Subject, preflight

    subject = Subject(registry.load("method", method), registry.load("encoder", encoder))
    faults = 0
    for finding in preflight(subject):
        typer.echo(str(finding))
        faults += finding.outcome == "fault"
    if faults:
        typer.echo(f"{method} on {encoder}: {faults} faults; mend them before it costs a run.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{method} on {encoder}: ready to run.")
