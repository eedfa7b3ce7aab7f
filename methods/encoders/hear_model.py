"""Any model from outside that speaks the HEAR API (hearbenchmark.com/hear-api), on whole clips."""

from __future__ import annotations

import hashlib
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from benchmark import ConfigError, Count, Encoder, EncoderConfig, HearApi, load_hear, project_root


class HearModelConfig(EncoderConfig):
    """Which model, and the hashes that tell it from another one; ``benchmark evaluate --model`` fills it in."""

    module: str = Field("", description="importable name of the outside module")
    attribute: str = Field("", description="object inside it that holds the API's functions; empty: the module itself")
    weights: str = Field("", description="file for load_model; relative to the project's root or absolute")
    weights_sha256: str = Field("", description="of the weights file; checked when it is loaded")
    code: str = Field("", description="hash of the outside module's source and of what it imports of its own package")
    sample_rate: Count = 16_000
    embedding_size: Count = Field(1, description="the model's scene_embedding_size")


class HearModel(Encoder):
    """Embeds each clip by the model's ``get_scene_embeddings``.

    The API knows no lengths, so only clips of equal length share a batch and none is padded. The model is loaded when first
    asked for an embedding and is no submodule: an export holds no copy of its weights, only ``identity``.
    """

    Config: ClassVar[type[HearModelConfig]] = HearModelConfig
    scope: ClassVar[Literal["window", "clip"]] = "clip"
    identity: Tensor
    """``(32,)`` uint8, a hash of the model's name, code and weights: what scores carry as the hash of the weights."""

    def __init__(self, config: HearModelConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = config.sample_rate
        self.window = 0
        self.embedding_size = config.embedding_size
        self._loaded: HearApi | None = None
        name = "|".join([config.module, config.attribute, config.code, config.weights_sha256])
        digest = hashlib.sha256(name.encode()).digest()
        self.register_buffer("identity", torch.tensor(list(digest), dtype=torch.uint8))

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Clips ``(B, T)`` of ``lengths`` samples to ``(B, D)``; the padding behind a clip is cut off."""
        hear = self._hear(waveform.device)
        if lengths is None:
            return hear.scene_embeddings(waveform)
        embeddings = waveform.new_empty(len(waveform), self.embedding_size)
        for length in lengths.unique().tolist():
            alike = lengths == length
            embeddings[alike] = hear.scene_embeddings(waveform[alike, :length]).to(waveform.device)
        return embeddings

    def _hear(self, device: torch.device) -> HearApi:
        if self._loaded is None:
            self._loaded = self._load()
        self._loaded.model.to(device)
        return self._loaded

    def _load(self) -> HearApi:
        config = self.config
        if not config.module:
            raise ConfigError("hear_model wraps a model from outside; bring one in by `benchmark evaluate --model`.")
        weights = project_root() / config.weights if config.weights else None
        hear = load_hear(config.module, config.attribute, weights, config.weights_sha256)
        stated = (config.sample_rate, config.embedding_size)
        if (found := (hear.sample_rate, hear.scene_embedding_size)) != stated:
            raise ConfigError(
                f"{hear.where} has (sample rate, embedding size) {found} and had {stated} when it was brought in; "
                "run the same `benchmark evaluate --model` again."
            )
        return hear


ENCODER = HearModel
