"""Spoken digits of a speaker never heard in training: the real digit task."""

from benchmark import Task

TASK = Task(
    id="fsdd_digit",
    title="Spoken digits, leave one speaker out",
    dataset="fsdd",
    label="digit",
    fold_column="speaker",
    notes=(
        "The official split shares speakers between training and test; here each speaker in turn is the test fold.",
    ),
)
