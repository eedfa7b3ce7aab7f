"""AudioSet: training on both training lists, testing on the evaluation list."""

from benchmark import Task

TASK = Task(
    id="audioset",
    title="AudioSet",
    dataset="audioset",
    label="labels",
    split_column="role",
    kind="multi",
    metric="map",
    notes=("Depends on which videos the user has: coverage stands in the corpus's manifest.",),
)
