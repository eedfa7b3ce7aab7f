"""ESC-10: the ten easier classes of ESC-50, in its five official folds."""

from benchmark import Task

TASK = Task(id="esc10", title="ESC-10", dataset="esc50", label="category", fold_column="fold", only="esc10")
