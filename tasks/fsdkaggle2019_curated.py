"""FSDKaggle2019, training on the curated set."""

from benchmark import Task

TASK = Task(
    id="fsdkaggle2019_curated",
    title="FSDKaggle2019, curated training set",
    dataset="fsdkaggle2019",
    label="labels",
    split_column="role",
    only="curated_or_test",
    kind="multi",
    metric="lwlrap",
)
