"""A profile's scores as evidence for and against the papers' claims."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.columns import SCORE_COLUMNS
from benchmark.statistics.claims.runs import seed_scores, source_scores
from benchmark.statistics.claims.scores import ScoreTable
from benchmark.statistics.claims.verdicts import Evidence
from benchmark.statistics.decisions import SeedTest
from benchmark.statistics.inputs import read_table, scores_folder
from benchmark.workspace import Workspace


def profile_evidence(
    workspace: Workspace,
    published: ScoreTable,
    task_groups: Mapping[str, tuple[str, ...]],
    metrics: Mapping[str, str],
    resamples: int,
    seed: int,
    test: SeedTest = "t",
) -> Evidence:
    """What aggregation and the evaluation stages left of a profile, as :func:`judge` takes it.

    Args:
        workspace: the profile's.
        published: the papers' own numbers, which a claim may read beside ours.
        task_groups: named groups of tasks, over which claims take means.
        metrics: headline metric by task, where it is not accuracy.
        resamples: how often sources are drawn anew.
        seed: of the resamples.
        test: over paired seeds.

    Raises:
        StaleArtifactError: aggregation has not run, or its tables and the predictions contradict each other.
    """
    scores = read_table(scores_folder(workspace) / "scores.csv", SCORE_COLUMNS)
    sources = source_scores(workspace, scores, metrics, resamples, seed)
    return Evidence(seed_scores(workspace, task_groups), published, sources, test)
