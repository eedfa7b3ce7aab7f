"""Which of six languages is spoken: VoxForge, TFDS's split by speaker."""

from benchmark import Task

TASK = Task(
    id="voxforge_language",
    title="VoxForge languages",
    dataset="voxforge",
    label="language",
    split_column="split",
    notes=("wang2021 states no split; that of TFDS, which COLA used, is disjoint in speakers.",),
)
