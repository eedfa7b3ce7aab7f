"""Music, speech or noise: MUSAN, a split of our own by file and artist."""

from benchmark import Task

TASK = Task(
    id="musan",
    title="MUSAN",
    dataset="musan",
    label="kind",
    split_column="split",
    notes=(
        "wang2021 and tagliasacchi2020 state no split. Here: sha1 of the group (artist of music, else the file) modulo 100, "
        "below 20 test, below 35 validation, else training.",
        "Durations differ greatly between the kinds; read accuracy beside the per-class figures.",
    ),
)
