"""FSDnoisy18k, training on the small clean set, part of which validates (fonseca2021, 5.2)."""

from benchmark import Task

TASK = Task(
    id="fsdnoisy18k_clean",
    title="FSDnoisy18k, clean training set",
    dataset="fsdnoisy18k",
    label="label",
    split_column="clean_split",
    only="clean_or_test",
    metric="class_mean_accuracy",
    notes=(
        "The released code of fonseca2021 validates on all clean clips, training clips among them; here the parts are disjoint.",
    ),
)
