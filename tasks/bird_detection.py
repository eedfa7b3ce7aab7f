"""Bird audio detection: each of the three collections in turn is the test fold."""

from benchmark import Task

TASK = Task(
    id="bird_detection",
    title="Bird detection",
    dataset="dcase2018_bad",
    label="hasbird",
    fold_column="fold",
    kind="binary",
    notes=("Three folds as the challenge recommends; the split of wang2021 and tagliasacchi2020 is not known.",),
)
