"""The command line: one small command a stage, and what a person asks of the suite. Heavy imports wait for their command."""

from __future__ import annotations

import json
import os
import signal
import sys
from enum import StrEnum
from types import FrameType
from typing import Annotated, NoReturn, Optional

import typer

from benchmark.commands import (
    claims,
    datasets,
    embed,
    grid,
    leaks,
    outside,
    own_audio,
    plugins,
    reference,
    tables,
)
from benchmark.commands.common import ProfileOption
from benchmark.commands.common import chosen_workspace as _workspace
from benchmark.errors import BenchmarkError
from benchmark.launch import passed_on
from benchmark.memory import keep_freed_memory
from benchmark.workspace import project_root

app = typer.Typer(
    help="A reproducibility benchmark for self-supervised audio representation learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
RunOption = Annotated[str, typer.Option(help="Run and seed, e.g. simclr_us8k-0.")]


_INTERRUPTED = 130


class Listing(StrEnum):
    """What `benchmark list` can list."""

    methods = "methods"
    encoders = "encoders"
    tasks = "tasks"
    datasets = "datasets"
    runs = "runs"
    studies = "studies"
    profiles = "profiles"


def main() -> NoReturn:
    """Run a command; an error that the user can mend is one sentence and exit code 2, an interrupt is exit code 130."""
    # Idle threads sleep instead of spinning: on a shared machine spinning makes a step many times slower. Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(standalone_mode=False)  # Typer turns an interrupt into this code instead of raising it
    except BenchmarkError as error:
        _stop(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except Exception as error:
        if not (hasattr(error, "show") and hasattr(error, "exit_code")):
            raise
        error.show()  # a usage error
        sys.exit(error.exit_code)
    if code == _INTERRUPTED:
        _stop("Interrupted; everything finished is kept, run the same command again to go on.", _INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


app.command("fetch")(datasets.fetch)
app.add_typer(datasets.datasets, name="datasets")


@app.command()
def select(
    profile: Annotated[str, typer.Argument(help="Profile that `dvc repro` is to run.")],
    study: Annotated[Optional[list[str]], typer.Option(help="Only this study of it; may be repeated.")] = None,  # noqa: UP045
) -> None:
    """Select a profile, or some studies of it: writes `profile` and `active` in params.yaml."""
    _select(profile, study or [])


@app.command()
def repro(
    profile: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Select this profile first; default: the selected one in params.yaml, as it is."),
    ] = None,
    study: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Select only this study of it first; may be repeated."),
    ] = None,
    jobs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Stages at a time; default: 2 on processors, 1 where `machine.device` is a GPU."),
    ] = None,
) -> None:
    """Bring the selected profile up to date: `dvc repro`, several stages at a time."""
    from benchmark.repro import repro as bring_up_to_date

    if profile is not None or study:
        _select(_workspace(profile).profile, study or [])
    bring_up_to_date(_workspace(None), jobs)


def _select(profile: str, studies: list[str]) -> None:
    from benchmark.selection import select_profile

    changed = select_profile(project_root(), profile, studies)
    what = f"profile {profile}{', study ' + ', '.join(studies) if studies else ''}"
    typer.echo(f"params.yaml: {what} {'selected' if changed else 'was already selected'}.")


@app.command()
def scan(profile: ProfileOption = None) -> None:
    """Record which raw data is there (a stage)."""
    from benchmark.stages import scan_stage

    scan_stage(_workspace(profile))


@app.command()
def prepare(
    corpus: Annotated[str, typer.Option(help="Dataset and rate, e.g. esc50-16000.")], profile: ProfileOption = None
) -> None:
    """Decode, resample and pack one dataset at one sample rate (a stage)."""
    from benchmark.stages import prepare_stage

    prepare_stage(_workspace(profile), corpus)


@app.command()
def plan(
    profile: ProfileOption = None,
    write: Annotated[bool, typer.Option("--write", help="Write the jobs to build/ (the stage).")] = False,
    study: Annotated[Optional[str], typer.Option(help="Show only this study.")] = None,  # noqa: UP045
) -> None:
    """Resolve every run; shows data, parameters, steps and cost, or writes the stages' jobs."""
    workspace = _workspace(profile)
    if write:
        from benchmark.stages import plan_stage

        return plan_stage(workspace)
    from benchmark.overview import show_plan

    return show_plan(workspace, study)


@app.command()
def pretrain(run: RunOption, profile: ProfileOption = None) -> None:
    """Pre-train one run and export its encoders (a stage)."""
    from benchmark.stages import pretrain_stage

    pretrain_stage(_workspace(profile), run)


app.command("evaluate")(outside.evaluate)
app.command("forget")(outside.forget)
app.command("grid")(grid.grid)
app.command("embed")(embed.embed)


@app.command()
def aggregate(profile: ProfileOption = None) -> None:
    """Scores, intervals, normalised accuracy, comparisons and findings over all runs (a stage)."""
    from benchmark.stages import aggregate_stage

    aggregate_stage(_workspace(profile))


app.command("tables")(tables.tables)
app.command("errata")(tables.errata)
app.command("claims")(claims.claims)
app.command("leaks")(leaks.leaks)
app.command("add-audio")(own_audio.add_audio)
app.command("new")(plugins.new)
app.command("check")(plugins.check)
app.command("compare")(reference.compare)
app.command("accept")(reference.accept)
app.command("tolerance")(reference.tolerance)


@app.command()
def report(profile: ProfileOption = None) -> None:
    """The self-contained HTML report (a stage)."""
    from benchmark.stages import report_stage

    report_stage(_workspace(profile))


@app.command("list")
def list_(
    what: Annotated[Listing, typer.Argument(help="What to list.")],
    profile: ProfileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what there is; imports nothing heavy."""
    from benchmark.overview import listing

    rows = listing(what.value, _workspace(profile) if what in {Listing.runs} else None)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        typer.echo(f"{row['name']:<{width}}  {row['about']}")


@app.command()
def smoke(
    profile: ProfileOption = None,
    study: Annotated[Optional[str], typer.Option(help="Only this study.")] = None,  # noqa: UP045
    batch_size: Annotated[int, typer.Option(help="Clips of the one step; 0: each run's own batch.", min=0)] = 4,
    device: Annotated[str, typer.Option(help="Where the step is taken, e.g. cuda; memory is told there.")] = "cpu",
) -> None:
    """Build every model at the profile's size and take one optimiser step on synthetic audio."""
    from benchmark.smoke import smoke_test

    smoke_test(_workspace(profile), study, batch_size or None, device)


@app.command()
def timings(profile: ProfileOption = None) -> None:
    """The ledger: seconds and memory of every stage that has run."""
    from benchmark.timing import as_text, ledger

    typer.echo(as_text(ledger(_workspace(profile))))


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _stop(sentence: str, code: int) -> NoReturn:
    signal.signal(
        signal.SIGTERM, signal.SIG_IGN
    )  # ending already: a launcher that stops a lost rank would interrupt its exit
    if not passed_on(sentence):
        typer.echo(f"error: {sentence}", err=True)
    sys.stdout.flush()
    sys.exit(code)


if __name__ == "__main__":
    main()
