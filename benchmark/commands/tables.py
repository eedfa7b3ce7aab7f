"""``benchmark tables`` and ``benchmark errata``: what the papers print, ours beside it, and where they disagree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from benchmark.commands.common import ProfileOption, chosen_workspace
from benchmark.errors import ConfigError
from benchmark.workspace import project_root


def tables(
    study: Annotated[Optional[str], typer.Option(help="A study's tables and figures (a stage).")] = None,  # noqa: UP045
    published: Annotated[bool, typer.Option("--published", help="The papers' tables as printed, to --out.")] = False,
    papers: Annotated[bool, typer.Option("--papers", help="The papers' tables with our scores, to --out.")] = False,
    out: Annotated[Optional[Path], typer.Option(help="Folder to write <paper>/<table>.{csv,md,tex,html} to.")] = None,  # noqa: UP045
    profile: ProfileOption = None,
) -> None:
    """Tables of a study, or the papers' own: say which by --study, --published or --papers."""
    if sum([study is not None, published, papers]) != 1:
        raise ConfigError("Say what to write by one of --study <id>, --published or --papers.")
    if study is not None:
        from benchmark.stages import tables_stage

        return tables_stage(chosen_workspace(profile), study)
    if out is None:
        raise ConfigError("Say by --out where to write the papers' tables.")
    return _papers_tables(out, profile, with_own=papers)


def errata(
    out: Annotated[Optional[Path], typer.Option(help="Markdown file to write; default: print it.")] = None,  # noqa: UP045
) -> None:
    """Conflicts inside and between the papers, choices where they are silent, and our deviations, as Markdown."""
    from benchmark.artifacts import write_text
    from benchmark.published.errata import load_errata
    from benchmark.reporting.errata import errata_page

    page = errata_page(load_errata(project_root()))
    if out is None:
        typer.echo(page, nl=False)
    else:
        write_text(out, page)


def _papers_tables(out: Path, profile: str | None, with_own: bool) -> None:
    from benchmark.published.layout import load_published
    from benchmark.reporting.own_scores import read_own_scores
    from benchmark.reporting.published_tables import write_published_tables
    from benchmark.statistics.inputs import scores_folder

    published = load_published(project_root())
    groups = published.settings.task_groups
    own = read_own_scores(scores_folder(chosen_workspace(profile)), groups) if with_own else None
    count = write_published_tables(published, out, own)
    typer.echo(f"{count} published numbers in {out}.")
