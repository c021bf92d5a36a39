"""Samplers of p(x | y) with their own loop. One file per method; adding a file adds one."""

from typing import TYPE_CHECKING

from .base import PosteriorSampler, Problem, posteriors

if TYPE_CHECKING:  # for editors; at run time a class is imported when it is asked for
    from .gibbs import SplitGibbs as SplitGibbs
    from .langevin import AnnealedLangevin as AnnealedLangevin
    from .smc import TwistedSMC as TwistedSMC
    from .travel import Travel as Travel
else:
    __getattr__, __dir__ = posteriors.members(globals())

__all__ = ["PosteriorSampler", "Problem", "posteriors"]
