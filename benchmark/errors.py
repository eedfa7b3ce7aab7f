"""Errors that a user can cause. Each carries one sentence: what is wrong, where, and what to do."""


class BenchmarkError(Exception):
    """Base of every error that the command line prints as one sentence, without a traceback."""

    exit_code = 2


class ConfigError(BenchmarkError):
    """A parameter, profile, study or record is unknown, of the wrong type or out of range."""


class DataError(BenchmarkError):
    """Raw audio or metadata is missing, damaged or contradicts itself."""


class ForbiddenClipError(BenchmarkError):
    """A clip that the split rules forbid was about to be read (see docs/protocol.md)."""


class StaleArtifactError(BenchmarkError):
    """A file made by an earlier stage does not belong to the present configuration."""


class CorruptArtifactError(BenchmarkError):
    """A checkpoint, cache entry or corpus fails its checksum or does not parse."""


class TrainingDivergedError(BenchmarkError):
    """Pre-training met a non-finite loss or a collapsed representation."""


class RankLostError(BenchmarkError):
    """Another process of the same job ended, or did not answer in time."""

    exit_code = 75  # sysexits' "temporary failure: try again"


class StorageError(BenchmarkError):
    """Writing failed: the disk is full or the folder cannot be written."""


class DownloadError(BenchmarkError):
    """A file cannot be had from any address that is known for it."""


class AccessError(BenchmarkError):
    """Data that only its user can get: behind a form or a login, or collected by hand."""


class ReferenceRunError(BenchmarkError):
    """There is no accepted run, or the present results cannot become one."""


class StageError(BenchmarkError):
    """A stage of the pipeline failed; what it said stands above."""


class GridError(BenchmarkError):
    """A worker of an evaluation grid must not take part, or some of the grid's cells failed."""
