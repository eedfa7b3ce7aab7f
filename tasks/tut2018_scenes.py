"""Urban scenes of DCASE 2018 task 1a, the official fold."""

from benchmark import Task

TASK = Task(
    id="tut2018_scenes",
    title="TUT 2018 scenes",
    dataset="tut2018_1a",
    label="scene",
    split_column="split",
    notes=("wang2021's scores suggest a random split of segments instead; which one is not stated.",),
)
