"""FSDnoisy18k, training on the noisy set and validating on the clean one (fonseca2021, 3.2)."""

from benchmark import Task

TASK = Task(
    id="fsdnoisy18k_noisy",
    title="FSDnoisy18k, noisy training set",
    dataset="fsdnoisy18k",
    label="label",
    split_column="noisy_split",
    metric="class_mean_accuracy",
    expected_training=15_813,
)
