"""FSDnoisy18k's clean set among itself: the nearest-neighbour validation of fonseca2021 (3.3)."""

from benchmark import Task

TASK = Task(
    id="fsdnoisy18k_val",
    title="FSDnoisy18k, clean set",
    dataset="fsdnoisy18k",
    label="label",
    fold_column="fold",
    only="clean",
    metric="class_mean_accuracy",
    notes=(
        "fonseca2021 finds neighbours among all of the set (head intra_knn); other heads train on nine of ten folds.",
    ),
)
