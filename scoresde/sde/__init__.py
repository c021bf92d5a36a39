"""Forward processes, which turn data into noise. One file each."""

from typing import TYPE_CHECKING

from .base import SDE, Chain, Level, expand, sdes
from .chain import DDPM, DiscreteChain
from .flow import FlowSDE
from .forward import noised, share_of, time_at
from .given_chain import GivenChain
from .preserving import VariancePreserving
from .sub_vp import SubVPSDE
from .ve import VESDE
from .vp import VPSDE, LinearBeta
from .vp_cosine import VPCosineSDE

if not TYPE_CHECKING:  # a dropped-in file is found, too
    __getattr__, __dir__ = sdes.members(globals())

__all__ = [
    "DDPM",
    "SDE",
    "VESDE",
    "Chain",
    "DiscreteChain",
    "FlowSDE",
    "GivenChain",
    "Level",
    "LinearBeta",
    "SubVPSDE",
    "VPCosineSDE",
    "VPSDE",
    "VariancePreserving",
    "expand",
    "noised",
    "sdes",
    "share_of",
    "time_at",
]
