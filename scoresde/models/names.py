"""Models by name: a run, a model folder, a bundled model, or one of another project."""

from pathlib import Path

import torch
from torch import nn

from ..core.errors import UsageError
from ..core.options import hint
from . import folder
from .folder import CONFIG
from .foreign.cache import cached, is_foreign
from .network import NetworkModel

BUNDLED = Path(__file__).parent.parent / "bundled"
MARKS = (CONFIG, "config.toml")
"""Files of which a model folder or a run has one."""


def bundled() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG}"))


def locate(name: str | Path) -> Path:
    """The folder of a model.

    Args:
        name: Path of a run or model folder, the name of a bundled model, or a checkpoint of another project, such as
            "diffusers:PATH" or "hub:OWNER/NAME", which is imported into the cache. A folder of anything else that is
            called like a bundled model does not hide it.

    Raises:
        UsageError: There is none, or the checkpoint cannot be imported without further options.
        CheckpointError: The checkpoint is damaged.
    """
    path, ours = Path(name), str(name) in bundled()
    if path.is_dir() and (not ours or any((path / file).exists() for file in MARKS)):
        return path if path.name.strip(".") else path.resolve()  # a result is called by the folder's name
    if ours:
        return BUNDLED / str(name)
    if is_foreign(str(name)):
        return cached(str(name))
    raise UsageError(f"no model folder or bundled model is called {str(name)!r}. {hint(str(name), bundled())}")


def load(name: str | Path = "digits", device: str | torch.device = "cpu", net: nn.Module | None = None) -> NetworkModel:
    """The model of a name, ready to sample.

    Args:
        name: As for `locate`.
        device: Where its tensors go.
        net: The network, which is given the weights; by default the one that the folder describes. The folder of a
            network that was handed to `fit` as a module cannot build it.

    Raises:
        UsageError: There is no such model.
        CheckpointError: The folder is incomplete, damaged, or of another version.
    """
    return folder.read(locate(name), device, net)
