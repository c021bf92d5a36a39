"""Solvers tuned to a model: for a number of evaluations, the times and weights that end nearest to its exact flow."""

from .learning import Paths, learn, paths

__all__ = ["Paths", "learn", "paths"]
