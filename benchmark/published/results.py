"""The numbers that the papers print: ``results/published/published_results.csv``, one row a number."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BeforeValidator, Field

from benchmark.config import Config, load_yaml, validate
from benchmark.errors import ConfigError

FOLDER = Path("results") / "published"
RESULTS_FILE = FOLDER / "published_results.csv"
CLAIMS_FILE = FOLDER / "claims.yaml"
Unit = Literal["percent", "fraction", "none"]
Number = Annotated[float, Field(strict=False)]
_PLACEHOLDER = re.compile(r"{(\w+)}")


class PublishedResult(Config):
    """One number of a paper. ``row`` and ``column`` say where it is printed, the ids below what was measured."""

    paper: str
    table: str
    row: str
    column: str
    method: str
    encoder: str
    pretrain_dataset: str
    task: str
    protocol: str
    train_size: str
    metric: str
    value: Number
    unit: Unit
    uncertainty: Annotated[Number | None, BeforeValidator(lambda text: None if text == "" else text)]
    ours_or_prior: Literal["this", "prior"] = Field(description="measured in the paper, or quoted from another one")
    note: str
    variant: str = Field("default", description="departure from the paper's default setting, from `csv_variants`")

    @property
    def place(self) -> str:
        """Where it is printed, for messages."""
        return f"{self.paper} {self.table}, row {self.row!r}, column {self.column!r}"


class PublishedVariant(Config):
    """The variant of the numbers that lie at a place; a name in braces is read from the number's note."""

    paper: str
    table: str
    row: str | None = None
    column: str | None = None
    variant: str

    def holds(self, result: PublishedResult) -> bool:
        """Whether the number lies at the place."""
        return all(getattr(result, column) == value for column, value in self._stated)

    @cached_property
    def _stated(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.model_dump(exclude={"variant"}, exclude_none=True).items())

    def of(self, result: PublishedResult) -> str:
        """The number's variant, with names in braces filled in.

        Raises:
            ConfigError: the note does not state such a name.
        """
        notes = dict(part.split("=", 1) for part in result.note.split("; ") if "=" in part)
        if absent := [name for name in _PLACEHOLDER.findall(self.variant) if name not in notes]:
            raise ConfigError(
                f"{RESULTS_FILE}: the note of {result.place} states no {absent[0]}=..., which its variant names."
            )
        return self.variant.format_map(notes)


class Settings(Config):
    """The two lists of ``claims.yaml`` that are about the printed numbers rather than about claims."""

    csv_variants: tuple[PublishedVariant, ...]
    task_groups: dict[str, tuple[str, ...]] = Field(description="a task that is a mean -> the tasks it is the mean of")


def load_settings(root: Path) -> Settings:
    """Variants and task groups.

    Raises:
        ConfigError: ``claims.yaml`` lacks one, or an entry is malformed; one sentence that names the key.
    """
    data = load_yaml(root / CLAIMS_FILE)
    wanted = {key: data[key] for key in Settings.model_fields if isinstance(data, dict) and key in data}
    return validate(Settings, wanted, str(CLAIMS_FILE))


def read_published_results(root: Path, settings: Settings) -> tuple[PublishedResult, ...]:
    """Every printed number with its variant, in the order of the file.

    Raises:
        ConfigError: a column is missing, a row malformed, or a variant matches no row; one sentence that names file and line.
    """
    results = tuple(_rows(root / RESULTS_FILE))
    for variant in settings.csv_variants:
        if not any(variant.holds(result) for result in results):
            raise ConfigError(f"{CLAIMS_FILE}: csv_variants: no number of {RESULTS_FILE.name} lies at {variant}.")
    return tuple(_with_variant(result, settings.csv_variants) for result in results)


def load_published_results(root: Path) -> pd.DataFrame:
    """The printed numbers as a table: the columns of the file and ``variant``; ``value`` and ``uncertainty`` are floats.

    Raises:
        ConfigError: see :func:`read_published_results`.
    """
    rows = read_published_results(root, load_settings(root))
    table = pd.DataFrame([row.model_dump() for row in rows], columns=list(PublishedResult.model_fields))
    return table.astype({"value": float, "uncertainty": float})


def _rows(path: Path) -> Iterator[PublishedResult]:
    columns = [column for column in PublishedResult.model_fields if column != "variant"]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval=None, strict=True)
            if reader.fieldnames is None or list(reader.fieldnames) != columns:
                raise ConfigError(f"{RESULTS_FILE}: the header is not {','.join(columns)}; restore the file.")
            for row in reader:
                yield validate(
                    PublishedResult, _complete(row, reader.line_num), f"{RESULTS_FILE}, line {reader.line_num}"
                )
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{RESULTS_FILE} is not a readable CSV ({error}).") from error


def _complete(row: dict[Any, Any], line: int) -> dict[str, str]:
    if None in row or None in row.values():
        raise ConfigError(f"{RESULTS_FILE}, line {line}: not as many cells as the header has.")
    return row


def _with_variant(result: PublishedResult, variants: tuple[PublishedVariant, ...]) -> PublishedResult:
    own = [variant for variant in variants if variant.holds(result)]
    if len(own) > 1:
        raise ConfigError(f"{CLAIMS_FILE}: csv_variants: {len(own)} entries match {result.place}.")
    return result.model_copy(update={"variant": own[0].of(result)}) if own else result
