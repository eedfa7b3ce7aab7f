"""Any model from outside that speaks the HEAR API, on the fixed windows that the project's own encoders see."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from benchmark import Positive
from methods.encoders.hear_model import HearModel, HearModelConfig


class HearModelWindowsConfig(HearModelConfig):
    """The same, and how long a window is."""

    window_seconds: Positive = Field(0.975, description="as long as the study's own (tagliasacchi2020 section IV)")


class HearModelWindows(HearModel):
    """Embeds each window as a clip of its own; a clip's embedding is the mean over its windows."""

    Config: ClassVar[type[HearModelWindowsConfig]] = HearModelWindowsConfig
    scope: ClassVar[Literal["window", "clip"]] = "window"

    def __init__(self, config: HearModelWindowsConfig) -> None:
        super().__init__(config)
        self.window = round(config.window_seconds * config.sample_rate)


ENCODER = HearModelWindows
