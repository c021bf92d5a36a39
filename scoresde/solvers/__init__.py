"""Solvers of the reverse process. One file per method; adding a file adds a solver."""

from .adaptive import PerSampleSolver
from .base import AdaptiveSolver, GridSolver, MarkovSolver, OneStepSolver, Solver, solvers

__all__ = ["AdaptiveSolver", "GridSolver", "MarkovSolver", "OneStepSolver", "PerSampleSolver", "Solver", "solvers"]
