"""Solvers tuned to a model: for a number of evaluations, the times and weights that end nearest to its exact flow."""

from .flow import Paths, paths
from .learning import learn

__all__ = ["Paths", "learn", "paths"]
