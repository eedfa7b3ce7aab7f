"""GTZAN genres in the fault-filtered, artist-disjoint split of the community."""

from benchmark import Task

TASK = Task(
    id="gtzan",
    title="GTZAN genres",
    dataset="gtzan",
    label="genre",
    split_column="split",
    notes=("lin2022 uses a random split without lists or seed: `gtzan_random` is of that kind.",),
)
