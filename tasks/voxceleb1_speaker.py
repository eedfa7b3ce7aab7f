"""Who speaks: the 1,251 speakers of VoxCeleb1, official identification split."""

from benchmark import Task

TASK = Task(
    id="voxceleb1_speaker",
    title="VoxCeleb1 speakers",
    dataset="voxceleb1",
    label="speaker",
    split_column="split",
    notes=("wang2021 tells 1,251 speakers apart and states no split; the official one is disjoint in videos.",),
)
