"""Keywords of Speech Commands v0.01: 30 words, official split."""

from benchmark import Task

TASK = Task(
    id="speech_commands_v1",
    title="Speech Commands V1",
    dataset="speech_commands_v1",
    label="word",
    split_column="split",
    notes=(
        "wang2021 states no number of classes; all 30 words are told apart here. Twelve classes (ten commands, unknown, "
        "silence), as in COLA, is from memory and unverified: published accuracies may be of that easier task.",
        "Speakers are disjoint between training, validation and test.",
    ),
)
