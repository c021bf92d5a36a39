"""Versions, threads and device, on which a result depends besides its options."""

import platform
from functools import cache
from importlib import metadata
from typing import Any

import torch

from .. import __version__

_version = cache(metadata.version)  # each question reads and parses a file, and a benchmark asks with every batch


def versions() -> dict[str, Any]:
    """The versions and threads behind a result."""
    return {
        "versions": {
            "scoresde": __version__,
            "torch": torch.__version__,
            "numpy": _version("numpy"),
            "scipy": _version("scipy"),
            "python": platform.python_version(),
        },
        "threads": torch.get_num_threads(),
    }
