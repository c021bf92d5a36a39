"""Conditioners: models of p(x) made into models of p(x | y). One file per method; adding a file adds a conditioner."""

from .base import ConditionedModel, Conditioner, LinearConditioner, conditioners

__all__ = ["ConditionedModel", "Conditioner", "LinearConditioner", "conditioners"]
