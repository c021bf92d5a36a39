"""Tasks that a network is trained for, a file each."""

from .base import Task, TaskOption, tasks, trained_task

__all__ = ["Task", "TaskOption", "tasks", "trained_task"]
