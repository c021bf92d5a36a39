"""The finished batches of a cell that is being measured: an interrupted run goes on after the last of them."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..core.files import write_tensors


class Batch(NamedTuple):
    """What a cell needs of one batch."""

    tensors: Mapping[str, Tensor]
    """By name, on the CPU, without memory in common."""
    facts: Mapping[str, Any]
    """What it cost, as JSON holds it."""


Keep = Callable[[str, Callable[[], Batch]], Batch]
"""Returns the batch of a name: a finished one, or what the function makes, which is then kept."""


def at_once(name: str, make: Callable[[], Batch]) -> Batch:
    """The batch as it is made; nothing is kept.

    Args:
        name: Name of the batch.
        make: Makes it.
    """
    return make()


class Unfinished:
    """A folder with a file for each finished batch of one cell. It is there until the cell's row is written.

    Args:
        folder: The folder, which is made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def batch(self, name: str, make: Callable[[], Batch]) -> Batch:
        """The batch of a name: from its file, or made and written to it.

        Args:
            name: Name of the batch, which says what is in it.
            make: Makes the batch.

        Raises:
            ResourceError: The batch cannot be written.
        """
        path = self.folder / f"{name}.safetensors"
        try:
            with safe_open(path, framework="pt") as file:
                return Batch({key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["facts"]))
        except (OSError, SafetensorError, KeyError, ValueError):  # it is not there, or damaged
            found = make()
        write_tensors(path, found.tensors, {"facts": json.dumps(found.facts)})
        return found

    def discard(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
