"""The device that a name means."""

import torch

from .errors import ResourceError, UsageError
from .sentences import hint


def device(name: str | torch.device = "auto") -> torch.device:
    """The device of a name; "auto" is the first GPU, or the CPU where there is none.

    Args:
        name: "auto", "cpu", "cuda", "cuda:1" and so on, or a device, which is returned as it is.

    Raises:
        UsageError: There is no such kind of device.
        ResourceError: The machine has none.
    """
    if isinstance(name, torch.device):
        return name
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
    except RuntimeError:
        raise UsageError(f"no device is called {name!r}. {hint(name, ['auto', 'cpu', 'cuda'])}") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ResourceError(f"this machine has no device {name!r} that torch can use; use the device cpu")
    return chosen
