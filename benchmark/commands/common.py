"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from benchmark.workspace import Workspace, project_root

ProfileOption = Annotated[Optional[str], typer.Option(help="Profile; default: the selected one in params.yaml.")]  # noqa: UP045


def chosen_workspace(profile: str | None) -> Workspace:
    """The workspace of a profile, or of the one that ``params.yaml`` selects.

    Raises:
        ConfigError: the profile is unknown.
    """
    from benchmark.config import load_params
    from benchmark.plan import profile_of

    root = project_root()
    params = load_params(root)
    name = profile or params.profile[0]
    profile_of(params, name)
    return Workspace(root, name)
