"""Conditioners turn a model of p(x) into one of p(x | y). One file per method; adding a file adds a conditioner."""

from typing import TYPE_CHECKING

from .base import ConditionedModel, Conditioner, LinearConditioner, conditioners

if TYPE_CHECKING:  # for editors; at run time a class is imported when it is asked for
    from .covariance import CovarianceConditioner as CovarianceConditioner
    from .dps import DPS as DPS
    from .linearised import Linearised as Linearised
    from .mixture import MixtureConditioner as MixtureConditioner
    from .moment import MomentConditioner as MomentConditioner
    from .oracle import Oracle as Oracle
    from .projection import Projection as Projection
    from .replace import Replacement as Replacement
    from .trained import Trained as Trained
else:
    __getattr__, __dir__ = conditioners.members(globals())

__all__ = ["ConditionedModel", "Conditioner", "LinearConditioner", "conditioners"]
