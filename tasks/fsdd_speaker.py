"""Who speaks, in the official split of the spoken digits: a saturation check."""

from benchmark import Task

TASK = Task(
    id="fsdd_speaker",
    title="Speaker of spoken digits",
    dataset="fsdd",
    label="speaker",
    split_column="split",
    group="take",
    notes=("A saturation check: log-mel statistics alone solve it on the real recordings.",),
)
