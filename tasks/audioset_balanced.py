"""AudioSet: training on the balanced list only."""

from benchmark import Task

TASK = Task(
    id="audioset_balanced",
    title="AudioSet, balanced",
    dataset="audioset",
    label="labels",
    split_column="role",
    only="balanced_or_eval",
    kind="multi",
    metric="map",
    notes=("Depends on which videos the user has: coverage stands in the corpus's manifest.",),
)
