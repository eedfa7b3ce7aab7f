"""UrbanSound8K: ten urban sounds, the official folds that the data holds."""

from benchmark import Task

TASK = Task(
    id="us8k",
    title="UrbanSound8K",
    dataset="urbansound8k",
    label="class",
    fold_column="fold",
    notes=(
        "Training slices of the Freesound recordings that also occur in the test fold (five such in all) are left out.",
    ),
)
