"""Score models: a network, closed forms, models around models, and the folder a model lives in."""

from .base import ScoreModel
from .folder import CONFIG, WEIGHTS, save
from .names import BUNDLED, bundled, load, locate
from .network import NetworkModel

__all__ = [
    "BUNDLED",
    "CONFIG",
    "WEIGHTS",
    "NetworkModel",
    "ScoreModel",
    "bundled",
    "load",
    "locate",
    "save",
]
