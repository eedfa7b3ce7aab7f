"""The one training loop: schedules, checkpoints, hooks, curves."""
