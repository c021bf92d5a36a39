"""Score models: networks, exact models, wrappers, and model folders."""

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
