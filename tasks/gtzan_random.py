"""GTZAN genres in a random 70/15/15 split, as lin2022 has one: artists are in several parts."""

from benchmark import Task

TASK = Task(
    id="gtzan_random",
    title="GTZAN genres, random split",
    dataset="gtzan",
    label="genre",
    split_column="random_split",
    notes=(
        "Leaks artists between training and test; for comparison with lin2022 only, whose own split is not published.",
    ),
)
