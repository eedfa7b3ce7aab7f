"""``benchmark add-audio``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from benchmark.commands.common import ProfileOption, chosen_workspace


def add_audio(
    folder: Annotated[Path, typer.Argument(help="Folder of audio files, in any sub-folders.")],
    csv: Annotated[Path, typer.Option(help="Table in that folder, with a row a file.")],
    name: Annotated[str, typer.Option(help="Name of the new dataset and task.")],
    file_column: Annotated[str, typer.Option(help="Paths, relative to the folder.")] = "file",
    label_column: Annotated[str, typer.Option(help="Labels.")] = "label",
    split_column: Annotated[Optional[str], typer.Option(help="train, valid or test.")] = None,  # noqa: UP045
    fold_column: Annotated[Optional[str], typer.Option(help="Each value is the test part in turn.")] = None,  # noqa: UP045
    folds: Annotated[int, typer.Option(help="Make so many folds, which keep groups whole.")] = 0,
    group_column: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Recording, speaker or place: what must not be on both sides."),
    ] = None,
    multi: Annotated[str, typer.Option(help="Separator of several labels in a cell.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the audio.")] = "not stated",
    replace: Annotated[bool, typer.Option("--replace", help="Write an added dataset anew.")] = False,
    profile: ProfileOption = None,
) -> None:
    """Make a folder of your own audio a dataset and a task, after checking it for leaks and class sizes."""
    from benchmark.own_audio import Request, add, check, summary

    table = csv if csv.is_absolute() or csv.exists() else folder / csv
    columns = {
        "file": file_column,
        "label": label_column,
        "split": split_column,
        "fold": fold_column,
        "group": group_column,
    }
    named = {role: column for role, column in columns.items() if column is not None}
    workspace = chosen_workspace(profile)
    request = Request(folder, table, name, named, multi, folds, licence)
    checked = check(request, workspace.root)
    typer.echo(summary(checked))
    for warning in checked.warnings:
        typer.echo(f"warning: {warning}.")
    for error in checked.errors:
        typer.echo(f"error: {error}.", err=True)
    if checked.errors:
        typer.echo(f"{len(checked.errors)} errors; nothing was written.", err=True)
        raise typer.Exit(1)
    for file in add(request, checked, workspace, replace):
        typer.echo(f"wrote {file}")
    typer.echo(
        f"Next: add {name} to the `tasks` of a study and to its runs' `evaluate`, select a profile with real data."
    )
