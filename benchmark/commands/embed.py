"""``benchmark embed``: a pre-trained encoder on a user's own audio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.commands.common import ProfileOption, chosen_workspace
from benchmark.errors import ConfigError
from benchmark.workspace import Workspace


def embed(
    files: Annotated[list[Path], typer.Argument(help="Audio files, and folders of them.")],
    run: Annotated[str, typer.Option(help="Run and seed whose encoder embeds, e.g. simclr_us8k-0.")],
    out: Annotated[Path, typer.Option(help="What is written: .npz or .parquet.")] = Path("embeddings.npz"),
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Every window and where it starts too.")] = False,
    part: Annotated[str, typer.Option(help="Which of the run's encoders: a fold's or a snapshot's.")] = "all",
    profile: ProfileOption = None,
) -> None:
    """Write embeddings of your own audio, by the windows and means that evaluation scores."""
    from benchmark.config import load_params
    from benchmark.evaluation.files import FORMATS, embed_files, find_audio, write_embeddings
    from benchmark.pretraining.device import deterministic_torch
    from benchmark.pretraining.export import load_part

    if out.suffix not in FORMATS:
        raise ConfigError(f"--out {out}: embeddings are written as {' or '.join(FORMATS)}.")
    workspace = chosen_workspace(profile)
    found = find_audio(files)
    encoder, record, _ = load_part(_part_file(workspace, run, part))
    with deterministic_torch(load_params(workspace.root).machine_of(workspace.profile)) as device:
        embeddings = embed_files(encoder, found, device)
        write_embeddings(out, embeddings, encoder.embedding_size, timestamps, _metadata(workspace, run, record))
    typer.echo(f"{out}: {len(found)} files, {encoder.embedding_size} values each.")


def _part_file(workspace: Workspace, run: str, part: str) -> Path:
    """The exported encoder.

    Raises:
        ConfigError: the profile has no such run, it has not been pre-trained here, or it has no such part.
    """
    from benchmark.artifacts import read_json
    from benchmark.config import load_params
    from benchmark.plan import entries, profile_of
    from benchmark.registry import nearest

    where = f"profiles.{workspace.profile}"
    planned = entries(workspace.root, profile_of(load_params(workspace.root), workspace.profile), where)
    names = [name for entry in planned for name in entry.names()]
    if run not in names:
        raise ConfigError(f"The profile {workspace.profile} has no run {run!r}: {nearest(run, names)}")
    file = workspace.run(run) / "run.json"
    if not file.exists():
        raise ConfigError(f"The run {run} of profile {workspace.profile} is not here yet; `dvc repro` makes it.")
    facts = read_json(file)
    if facts["status"] == "not run":
        raise ConfigError(f"The run {run} of profile {workspace.profile} was not run: {facts['reason']}.")
    parts: dict[str, str] = {each["part"]: each["file"] for each in facts["parts"]}
    if part not in parts:
        raise ConfigError(f"The run {run} has no part {part!r}, choose one by --part: {', '.join(parts)}.")
    return workspace.run(run) / parts[part]


def _metadata(workspace: Workspace, run: str, record: dict[str, Any]) -> dict[str, Any]:
    """What made the embeddings."""
    from benchmark.evaluation.waveforms import HOP_SECONDS, SHORT
    from benchmark.provenance import commit, versions

    return {
        "profile": workspace.profile,
        "run": run,
        **{key: record[key] for key in ("part", "encoder", "config", "weights", "job")},
        "hop_seconds": HOP_SECONDS,
        "short": SHORT,
        "commit": commit(workspace.root),
        "versions": versions(),
    }
