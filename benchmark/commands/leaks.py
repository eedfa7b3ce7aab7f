"""``benchmark leaks``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from benchmark.commands.common import ProfileOption, chosen_workspace


def leaks(
    profile: ProfileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Audio that is both trained on and evaluated, by source id and checksum; exit code 1 where it reaches a score."""
    from benchmark.leaks import as_records, find_leaks, text_table

    found = find_leaks(chosen_workspace(profile))
    known = [leak for leak in found if leak.handling]
    if as_json:
        typer.echo(json.dumps(as_records(found), indent=1))
    else:
        typer.echo(text_table(known))
        if missing := [f"{leak.source} / {leak.task}" for leak in found if not leak.handling]:
            typer.echo(f"Not prepared, so not looked at: {', '.join(missing)}.")
    if reached := [leak for leak in known if leak.reaches_a_score]:
        typer.echo(f"{len(reached)} of these leaks reach a score.", err=True)
        raise typer.Exit(1)
