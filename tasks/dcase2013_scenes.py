"""DCASE 2013 scenes: the public and the private set, each in turn the test fold."""

from benchmark import Task

TASK = Task(
    id="dcase2013_scenes",
    title="DCASE 2013 scenes",
    dataset="dcase2013_scenes",
    label="scene",
    fold_column="fold",
    notes=("Two folds is a reading of lin2022; see the dataset.",),
)
