"""Instrument family of NSynth's notes: eleven families, official split."""

from benchmark import Task

TASK = Task(
    id="nsynth_instrument",
    title="NSynth instruments",
    dataset="nsynth",
    label="family",
    split_column="split",
    notes=(
        "tagliasacchi2020 writes 11 classes; wang2021 states no number, and COLA, which it follows, took the family. "
        "Training instruments are not in the other parts. synth_lead is said to be missing from validation and test.",
    ),
)
