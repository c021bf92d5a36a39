"""Time grids tuned to a model: for one solver and budget, the grid that ends nearest to the exact probability flow."""

from .search import Paths, paths, tune, with_budget
from .store import tuned

__all__ = ["Paths", "paths", "tune", "tuned", "with_budget"]
