"""Kept predictions, reduced to what every statistic needs: credit by seed, replica and source group.

The value of a cell is the task's headline metric; ``accuracy`` in the names below stands for it. A clip's credit and mass are
what it contributes to that metric (``evaluation.contributions``): of accuracy 1 or 0, and 1.

Letters in shapes: S pre-training seeds, R head replicas, G groups (source recordings).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.artifacts import content_hash
from benchmark.errors import StaleArtifactError
from benchmark.statistics.bootstrap import Floats, nested_replicates


class CellKey(NamedTuple):
    """What is compared with what: only cells of one key share test clips."""

    task: str
    protocol: str
    train_size: str


@dataclass(frozen=True)
class Cell:
    """A run family on one task under one protocol and train size.

    A clip weighs its mass / (folds x mass of its fold), so that a ratio of sums over all groups is the mean over folds of the
    metric of a fold, while a group (a speaker who is a fold, say) can still be drawn as one unit.
    """

    hits: Floats
    """``(S, R, G)`` credit of the clips: of accuracy the weight of the correctly classified ones."""
    mass: Floats
    """``(G,)`` weight of all clips; sums to one."""
    clips: int
    test_clips: str
    """Hash of folds, clips and groups: equal where two cells were scored on the same test clips."""

    @property
    def by_seed(self) -> Floats:
        """``(S,)`` fold-mean accuracy of each pre-training seed, averaged over head replicas."""
        accuracies: Floats = self.hits.sum(axis=2).mean(axis=1)
        return accuracies

    @property
    def accuracy(self) -> float:
        """Mean over seeds."""
        return float(self.by_seed.mean())

    @property
    def by_group(self) -> Floats:
        """``(G,)`` credit of the clips, averaged over seeds and replicas."""
        weights: Floats = self.hits.mean(axis=(0, 1))
        return weights

    @property
    def resampled(self) -> list[str]:
        """The levels of which the cell has more than one unit, so that a bootstrap can vary them."""
        sizes = zip(("seeds", "replicas", "sources"), self.hits.shape, strict=True)
        return [level for level, size in sizes if size > 1]


def tally(predictions: pd.DataFrame, name: str) -> dict[CellKey, Cell]:
    """The cells of one run (S = 1) from its predictions.

    Raises:
        StaleArtifactError: replicas of a head were not scored on the same clips.
    """
    groups = predictions.groupby(list(CellKey._fields), sort=True, observed=True)
    return {CellKey(*map(str, key)): _cell(rows, f"{name} on {key[0]} under {key[1]}") for key, rows in groups}


def stacked(cells: Sequence[Cell], where: str) -> Cell:
    """Cells of one family's seeds as one cell.

    Raises:
        StaleArtifactError: the seeds were not scored on the same clips or with as many replicas.
    """
    first = cells[0]
    if any(cell.test_clips != first.test_clips or cell.hits.shape != first.hits.shape for cell in cells):
        raise StaleArtifactError(
            f"The seeds of {where} were not scored on the same test clips and replicas; run `dvc repro` again."
        )
    return replace(first, hits=np.concatenate([cell.hits for cell in cells]))


def joint_replicates(
    cells: Sequence[Cell],
    resamples: int,
    generator: np.random.Generator,
    where: str,
    seed_shares: Sequence[Floats] | None = None,
) -> Floats:
    """``(B, cells)`` accuracies of cells scored on the same clips, resampled over seeds, replicas and sources.

    ``seed_shares`` as in :func:`benchmark.statistics.bootstrap.nested_replicates`.

    Raises:
        StaleArtifactError: they were not scored on the same clips.
    """
    if len({cell.test_clips for cell in cells}) > 1:
        raise StaleArtifactError(
            f"{where} and its references were not scored on the same test clips; run `dvc repro` again."
        )
    hits = [cell.hits for cell in cells]
    return nested_replicates(hits, cells[0].mass, resamples, generator, seed_shares=seed_shares)


def _cell(rows: pd.DataFrame, where: str) -> Cell:
    replica, replicas = pd.factorize(rows["head_seed"], sort=True)
    group, groups = pd.factorize(rows["group"], sort=True)
    fold, folds = pd.factorize(rows["fold"], sort=True)
    first = rows[replica == 0][["fold", "clip_id", "group"]].astype(str).sort_values(["fold", "clip_id"])
    counts = np.bincount(replica * len(folds) + fold, minlength=len(replicas) * len(folds)).reshape(len(replicas), -1)
    if (counts != counts[0]).any():
        raise StaleArtifactError(
            f"The replicas of {where} were not scored on the same test clips; run `dvc repro` again."
        )
    clip_mass = rows["mass"].to_numpy(float)
    of_fold = np.bincount(fold, weights=clip_mass) / len(replicas)
    weight = 1.0 / (len(folds) * of_fold[fold])
    credit = weight * rows["credit"].to_numpy(float)
    hits = np.bincount(replica * len(groups) + group, weights=credit, minlength=len(replicas) * len(groups))
    mass = np.bincount(group, weights=weight * clip_mass) / len(replicas)
    return Cell(
        hits=hits.astype(np.float64).reshape(1, len(replicas), len(groups)),
        mass=mass,
        clips=len(first),
        test_clips=content_hash(first.to_numpy().tolist()),
    )
