"""Solvers of the reverse process. One file per method; adding a file adds a solver."""

from .base import AdaptiveSolver, GridSolver, MarkovSolver, OneStepSolver, PerSampleSolver, Solver, solvers

__all__ = ["AdaptiveSolver", "GridSolver", "MarkovSolver", "OneStepSolver", "PerSampleSolver", "Solver", "solvers"]
