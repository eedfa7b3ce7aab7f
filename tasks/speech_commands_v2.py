"""Keywords of Speech Commands v0.02: 35 words, official split."""

from benchmark import Task

TASK = Task(
    id="speech_commands_v2",
    title="Speech Commands V2",
    dataset="speech_commands_v2",
    label="word",
    split_column="split",
    notes=(
        "tagliasacchi2020 tells 35 keywords apart and states no split; wang2021 states no number of classes. Both: 35 words, "
        "official split, which is disjoint in speakers.",
    ),
)
