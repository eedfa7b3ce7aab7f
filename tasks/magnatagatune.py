"""MagnaTagATune: the 50 most frequent tags, the conventional split by folder."""

from benchmark import Task

TASK = Task(
    id="magnatagatune",
    title="MagnaTagATune",
    dataset="magnatagatune",
    label="tags",
    split_column="split",
    only="tagged",
    kind="multi",
    metric="mauc",
)
