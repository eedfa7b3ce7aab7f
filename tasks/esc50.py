"""ESC-50: 50 environmental sounds, the five official folds."""

from benchmark import Task

TASK = Task(id="esc50", title="ESC-50", dataset="esc50", label="category", fold_column="fold")
