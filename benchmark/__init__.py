"""The engine's public face: what methods, encoders, tasks, datasets and outside plugins may use.

Names are imported on first use, so that listing plugins or planning a pipeline never imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

EXPORTS: dict[str, str] = {
    "Archive": "benchmark.records",
    "Batch": "benchmark.pretraining.method",
    "BenchmarkError": "benchmark.errors",
    "Config": "benchmark.config",
    "ConfigError": "benchmark.errors",
    "Count": "benchmark.config",
    "CropRequest": "benchmark.pretraining.method",
    "DataError": "benchmark.errors",
    "Dataset": "benchmark.records",
    "Encoder": "benchmark.signal.encoder",
    "EncoderConfig": "benchmark.config",
    "FileChecksums": "benchmark.records",
    "FONSECA2021": "benchmark.signal.frontend",
    "FixedDistance": "benchmark.signal.crops",
    "Fraction": "benchmark.config",
    "HearApi": "benchmark.signal.hear_api",
    "LabelledFolder": "benchmark.corpus.labelled",
    "LogMel": "benchmark.signal.frontend",
    "LogMelConfig": "benchmark.signal.frontend",
    "LogMelEncoder": "benchmark.signal.encoder",
    "LogMelEncoderConfig": "benchmark.signal.encoder",
    "MEDIA": "benchmark.corpus.layout",
    "Method": "benchmark.pretraining.method",
    "MethodConfig": "benchmark.config",
    "Positive": "benchmark.config",
    "ProjectionHead": "benchmark.signal.projection",
    "Step": "benchmark.pretraining.method",
    "TAGLIASACCHI2020": "benchmark.signal.frontend",
    "Task": "benchmark.records",
    "Training": "benchmark.config",
    "audio_files": "benchmark.corpus.layout",
    "calibrate_batchnorm": "benchmark.signal.calibration",
    "check_labels": "benchmark.corpus.layout",
    "clip_log_mel": "benchmark.signal.pooling",
    "draw_recording": "benchmark.corpus.synthesis",
    "draw_voice": "benchmark.corpus.synthesis",
    "gather": "benchmark.distributed",
    "isolated_torch_seed": "benchmark.seeding",
    "languages": "benchmark.corpus.synthesis",
    "load_hear": "benchmark.signal.hear_api",
    "match_audio": "benchmark.corpus.layout",
    "mix_back": "benchmark.signal.augment",
    "music_styles": "benchmark.corpus.synthesis",
    "numpy_stream": "benchmark.seeding",
    "place_in_noise": "benchmark.corpus.synthesis",
    "pool_frames": "benchmark.signal.pooling",
    "project_root": "benchmark.workspace",
    "random_blur": "benchmark.signal.augment",
    "random_compression": "benchmark.signal.augment",
    "random_frequency_shift": "benchmark.signal.augment",
    "random_gain": "benchmark.signal.augment",
    "random_masks": "benchmark.signal.augment",
    "random_noise": "benchmark.signal.augment",
    "random_resized_crop": "benchmark.signal.augment",
    "random_time_reversal": "benchmark.signal.augment",
    "random_time_shift": "benchmark.signal.augment",
    "read_lines": "benchmark.corpus.layout",
    "read_metadata": "benchmark.corpus.layout",
    "sound_clip": "benchmark.corpus.synthesis",
    "share": "benchmark.distributed",
    "shuffled": "benchmark.corpus.layout",
    "sound_kinds": "benchmark.corpus.synthesis",
    "synthesise_babble": "benchmark.corpus.synthesis",
    "synthesise_music": "benchmark.corpus.synthesis",
    "synthesise_noise": "benchmark.corpus.synthesis",
    "synthesise_note": "benchmark.corpus.synthesis",
    "synthesise_sound": "benchmark.corpus.synthesis",
    "synthesise_speech": "benchmark.corpus.synthesis",
    "synthesise_word": "benchmark.corpus.synthesis",
    "timbres": "benchmark.corpus.synthesis",
    "torch_stream": "benchmark.seeding",
    "translate_labels": "benchmark.corpus.layout",
    "words": "benchmark.corpus.synthesis",
    "world_size": "benchmark.distributed",
    "write_audio": "benchmark.corpus.synthesis",
    "write_wav": "benchmark.corpus.synthesis",
}
"""Public name -> module; the plan's code closures resolve ``from benchmark import ...`` through it."""

__all__ = list(EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in EXPORTS:
        raise AttributeError(f"module 'benchmark' has no attribute {name!r}")
    value = getattr(importlib.import_module(EXPORTS[name]), name)
    globals()[name] = value
    return value


if TYPE_CHECKING:
    from benchmark.config import Config as Config
    from benchmark.config import Count as Count
    from benchmark.config import EncoderConfig as EncoderConfig
    from benchmark.config import Fraction as Fraction
    from benchmark.config import MethodConfig as MethodConfig
    from benchmark.config import Positive as Positive
    from benchmark.config import Training as Training
    from benchmark.corpus.labelled import LabelledFolder as LabelledFolder
    from benchmark.corpus.layout import MEDIA as MEDIA
    from benchmark.corpus.layout import audio_files as audio_files
    from benchmark.corpus.layout import check_labels as check_labels
    from benchmark.corpus.layout import match_audio as match_audio
    from benchmark.corpus.layout import read_lines as read_lines
    from benchmark.corpus.layout import read_metadata as read_metadata
    from benchmark.corpus.layout import shuffled as shuffled
    from benchmark.corpus.layout import translate_labels as translate_labels
    from benchmark.corpus.synthesis import draw_recording as draw_recording
    from benchmark.corpus.synthesis import draw_voice as draw_voice
    from benchmark.corpus.synthesis import languages as languages
    from benchmark.corpus.synthesis import music_styles as music_styles
    from benchmark.corpus.synthesis import place_in_noise as place_in_noise
    from benchmark.corpus.synthesis import sound_clip as sound_clip
    from benchmark.corpus.synthesis import sound_kinds as sound_kinds
    from benchmark.corpus.synthesis import synthesise_babble as synthesise_babble
    from benchmark.corpus.synthesis import synthesise_music as synthesise_music
    from benchmark.corpus.synthesis import synthesise_noise as synthesise_noise
    from benchmark.corpus.synthesis import synthesise_note as synthesise_note
    from benchmark.corpus.synthesis import synthesise_sound as synthesise_sound
    from benchmark.corpus.synthesis import synthesise_speech as synthesise_speech
    from benchmark.corpus.synthesis import synthesise_word as synthesise_word
    from benchmark.corpus.synthesis import timbres as timbres
    from benchmark.corpus.synthesis import words as words
    from benchmark.corpus.synthesis import write_audio as write_audio
    from benchmark.corpus.synthesis import write_wav as write_wav
    from benchmark.distributed import gather as gather
    from benchmark.distributed import share as share
    from benchmark.distributed import world_size as world_size
    from benchmark.errors import BenchmarkError as BenchmarkError
    from benchmark.errors import ConfigError as ConfigError
    from benchmark.errors import DataError as DataError
    from benchmark.pretraining.method import Batch as Batch
    from benchmark.pretraining.method import CropRequest as CropRequest
    from benchmark.pretraining.method import Method as Method
    from benchmark.pretraining.method import Step as Step
    from benchmark.records import Archive as Archive
    from benchmark.records import Dataset as Dataset
    from benchmark.records import FileChecksums as FileChecksums
    from benchmark.records import Task as Task
    from benchmark.seeding import isolated_torch_seed as isolated_torch_seed
    from benchmark.seeding import numpy_stream as numpy_stream
    from benchmark.seeding import torch_stream as torch_stream
    from benchmark.signal.augment import mix_back as mix_back
    from benchmark.signal.augment import random_blur as random_blur
    from benchmark.signal.augment import random_compression as random_compression
    from benchmark.signal.augment import random_frequency_shift as random_frequency_shift
    from benchmark.signal.augment import random_gain as random_gain
    from benchmark.signal.augment import random_masks as random_masks
    from benchmark.signal.augment import random_noise as random_noise
    from benchmark.signal.augment import random_resized_crop as random_resized_crop
    from benchmark.signal.augment import random_time_reversal as random_time_reversal
    from benchmark.signal.augment import random_time_shift as random_time_shift
    from benchmark.signal.calibration import calibrate_batchnorm as calibrate_batchnorm
    from benchmark.signal.crops import FixedDistance as FixedDistance
    from benchmark.signal.encoder import Encoder as Encoder
    from benchmark.signal.encoder import LogMelEncoder as LogMelEncoder
    from benchmark.signal.encoder import LogMelEncoderConfig as LogMelEncoderConfig
    from benchmark.signal.frontend import FONSECA2021 as FONSECA2021
    from benchmark.signal.frontend import TAGLIASACCHI2020 as TAGLIASACCHI2020
    from benchmark.signal.frontend import LogMel as LogMel
    from benchmark.signal.frontend import LogMelConfig as LogMelConfig
    from benchmark.signal.hear_api import HearApi as HearApi
    from benchmark.signal.hear_api import load_hear as load_hear
    from benchmark.signal.pooling import clip_log_mel as clip_log_mel
    from benchmark.signal.pooling import pool_frames as pool_frames
    from benchmark.signal.projection import ProjectionHead as ProjectionHead
    from benchmark.workspace import project_root as project_root
