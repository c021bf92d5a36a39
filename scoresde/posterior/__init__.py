"""Samplers of p(x | y) that are more than a model around a model. One file per method; adding a file adds one."""

from .base import PosteriorSampler, Problem, posteriors

__all__ = ["PosteriorSampler", "Problem", "posteriors"]
