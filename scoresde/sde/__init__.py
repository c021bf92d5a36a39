"""Forward processes: how data becomes noise. One file for the continuous ones, one for the chains of DDPM."""

from .base import SDE, VESDE, VPSDE, Level, LinearBeta, SubVPSDE, VariancePreserving, VPCosineSDE, expand, sdes
from .chain import DDPM

__all__ = [
    "DDPM",
    "SDE",
    "VESDE",
    "Level",
    "LinearBeta",
    "SubVPSDE",
    "VPCosineSDE",
    "VPSDE",
    "VariancePreserving",
    "expand",
    "sdes",
]
