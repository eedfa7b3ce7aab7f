"""In what a profile's runs differ from what the papers' claims name. Light: the plan reads it every time."""

from __future__ import annotations

from benchmark.config import Profile, Scale

_BOOKKEEPING = {"snapshots", "checkpoint_every", "log_every"}
"""What a profile may change of a run without changing its scale."""


def scale_departures(profile: Profile) -> list[str]:
    """In what a profile's scores differ from the studies as published; empty for the published scale on real data."""
    changed = {
        field
        for scale in profile.runs.values()
        for field in Scale.model_fields
        if field not in _BOOKKEEPING and getattr(scale, field) is not None
    }
    departures = ["synthetic stand-in data"] if profile.data == "standin" else []
    if changed:
        departures.append(f"runs at another {', '.join(sorted(changed))}")
    if profile.protocols:
        departures.append(f"protocols at another scale: {', '.join(sorted(profile.protocols))}")
    return departures
