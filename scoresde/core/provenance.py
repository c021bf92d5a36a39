"""Versions, threads and device, on which a result depends besides its options."""

import platform
from importlib import metadata
from typing import Any

import torch

from .. import __version__


def versions() -> dict[str, Any]:
    """The versions and threads behind a result."""
    return {
        "versions": {
            "scoresde": __version__,
            "torch": torch.__version__,
            "numpy": metadata.version("numpy"),
            "scipy": metadata.version("scipy"),
            "python": platform.python_version(),
        },
        "threads": torch.get_num_threads(),
    }
