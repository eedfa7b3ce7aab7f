"""Commands about data: fetch it, and say what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from benchmark.errors import BenchmarkError, ConfigError

datasets = typer.Typer(help="What is known of each dataset, and what of it is here.", no_args_is_help=True)

DataOption = Annotated[
    Optional[Path],  # noqa: UP045 (Typer reads it)
    typer.Option("--data", help="Data folder; default: BENCHMARK_DATA, else data/raw."),
]


def fetch(
    names: Annotated[Optional[list[str]], typer.Argument(metavar="[DATASET]...", help="Datasets to fetch.")] = None,  # noqa: UP045
    everything: Annotated[bool, typer.Option("--all", help="Every dataset.")] = False,
    data: DataOption = None,
    supplied: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--from", help="An archive, a folder of archives or the dataset's own folder that you have already."
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep-archives", help="Keep downloaded archives once they are unpacked.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, max=16, help="Downloads at a time.")] = 4,
) -> None:
    """Download, verify and unpack datasets; nothing finished is done again."""
    from benchmark import registry
    from benchmark.corpus.fetch import Options
    from benchmark.corpus.fetch import fetch as fetch_one

    chosen = sorted(registry.plugins("dataset")) if everything else names or []
    if not chosen or (everything and names):
        raise ConfigError("Name datasets to fetch, or give --all; `benchmark list datasets` shows them.")
    if supplied is not None and len(chosen) > 1:
        raise ConfigError("--from holds one dataset's files; name that dataset only.")
    records = [registry.load("dataset", name) for name in chosen]
    root, options = data or _raw(), Options(supplied, keep, jobs)
    failed = []
    for record in records:
        try:
            fetch_one(record, root, options, typer.echo)
        except BenchmarkError as error:
            if len(records) == 1:
                raise
            typer.echo(f"{record.id}: {error}", err=True)
            failed.append(record.id)
    if failed:
        raise ConfigError(f"Not fetched, for the reasons above: {', '.join(failed)}.")


@datasets.command()
def status(
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Which datasets are here, whole or in part, what is still to be fetched, and what is prepared."""
    from benchmark import registry
    from benchmark.corpus.status import dataset_status
    from benchmark.workspace import project_root

    root, raw = project_root(), data or _raw()
    rows = [dataset_status(registry.load("dataset", name), raw, root) for name in registry.plugins("dataset")]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    line = "{:<22} {:<8} {:<13} {:>9} {:>9}  {}"
    typer.echo(line.format("dataset", "raw", "access", "archives", "to fetch", "prepared (profile:rate)"))
    for row in rows:
        typer.echo(_line(line, row))


def _line(line: str, row: dict[str, Any]) -> str:
    from benchmark.corpus.status import size

    prepared = " ".join(f"{profile}:{rate}" for profile, rates in row["prepared"].items() for rate in rates)
    sizes = (size(row["bytes"], row["sizes_unknown"]), size(row["missing_bytes"], row["missing_sizes_unknown"]))
    return line.format(row["name"], row["raw"], row["access"], *sizes, prepared or "-")


def _raw() -> Path:
    from benchmark.workspace import Workspace, project_root

    return Workspace(project_root(), "").raw
