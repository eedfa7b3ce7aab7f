"""Urban scenes of DCASE 2019 task 1a, the official fold."""

from benchmark import Task

TASK = Task(
    id="dcase2019_task1a",
    title="DCASE 2019 task 1a",
    dataset="tau2019_1a",
    label="scene",
    split_column="split",
)
