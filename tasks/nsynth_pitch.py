"""Pitch of NSynth's notes: MIDI numbers, official split."""

from benchmark import Task

TASK = Task(
    id="nsynth_pitch",
    title="NSynth pitch",
    dataset="nsynth",
    label="pitch",
    split_column="split",
    notes=(
        "tagliasacchi2020 writes 128 classes, the range of MIDI; the classes here are the pitches that occur (said to be "
        "112). Official split assumed; training instruments are not in the other parts.",
    ),
)
