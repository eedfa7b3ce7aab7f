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
        "fonseca2021's released code validates on all clean clips, those of training too; here the parts are disjoint. "
        "Its way is kept as the variant as_released, flagged.",
    ),
)
