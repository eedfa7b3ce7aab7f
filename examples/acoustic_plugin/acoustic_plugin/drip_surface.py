"""On which surface it drips, from taps never heard in training."""

from benchmark import Task

TASK = Task(id="drip_surface", title="Surface of drips", dataset="drips", label="surface", split_column="split")
