"""Selecting a profile: rewrites two keys of ``params.yaml`` and leaves its comments and layout alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from benchmark.artifacts import write_text
from benchmark.config import load_params, parse_yaml
from benchmark.errors import ConfigError
from benchmark.plan import active_stages, is_active

_SELECTED = ("profile", "active")


def select_profile(root: Path, name: str, only: Sequence[str] = ()) -> bool:
    """Make ``dvc repro`` run the profile ``name``, or ``only`` some studies of it; True where ``params.yaml`` had to change.

    Raises:
        ConfigError: unknown profile, a study that it does not have, or a fault in params.yaml or a study.
    """
    params = load_params(root)
    active = active_stages(root, params, name, only)
    if is_active(params, name, active):
        return False
    block = yaml.safe_dump(active, sort_keys=False, default_flow_style=None, width=118)
    indented = "".join(f"  {line}\n" for line in block.splitlines())
    file = root / "params.yaml"
    old = file.read_text(encoding="utf-8")
    new = _replaced(old, "profile", f"profile: [{name}]\n")
    new = _replaced(new, "active", f"active:\n{indented}")
    if parse_yaml(new) != {**parse_yaml(old), "profile": [name], "active": active}:
        raise ConfigError(
            "params.yaml: `profile:` and `active:` must be keys of their own at the top level; restore its layout."
        )
    write_text(file, new)
    return True


def differs_in_selection_alone(text: str, other: str) -> bool:
    """Whether two texts of ``params.yaml`` say the same but for what :func:`select_profile` writes."""
    for key in _SELECTED:
        text, other = _replaced(text, key, ""), _replaced(other, key, "")
    return text.strip() == other.strip()


def _replaced(text: str, key: str, block: str) -> str:
    """The YAML text with a top-level key's lines replaced."""
    return re.sub(rf"^{key}:.*\n(?:[ \t-].*\n)*", lambda _: block, text, count=1, flags=re.MULTILINE)
