"""Spoken digits in the official split, which shares all speakers between training and test."""

from benchmark import Task

TASK = Task(
    id="fsdd_digit_official",
    title="Spoken digits, official split",
    dataset="fsdd",
    label="digit",
    split_column="split",
    group="take",
    notes=("Training and test share all six speakers; the takes are disjoint.",),
)
