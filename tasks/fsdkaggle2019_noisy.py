"""FSDKaggle2019, training on the noisy set."""

from benchmark import Task

TASK = Task(
    id="fsdkaggle2019_noisy",
    title="FSDKaggle2019, noisy training set",
    dataset="fsdkaggle2019",
    label="labels",
    split_column="role",
    only="noisy_or_test",
    kind="multi",
    metric="lwlrap",
)
