"""Downstream tasks: one module a task, exposed as ``TASK``."""
