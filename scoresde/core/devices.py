"""Devices by name, and where float64 can be computed."""

import os
import platform
from collections.abc import Callable

import torch
from torch import Tensor

from .errors import ResourceError, UsageError
from .sentences import hint


def device(name: str | torch.device = "auto") -> torch.device:
    """The device of a name; "auto" is the first GPU, or the CPU where there is none.

    Args:
        name: "auto", "cpu", "cuda", "cuda:1", "mps", "xpu" and so on, or a device, which is returned as it is.

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
        chosen = torch.device("meta")
    if chosen.type not in THERE:
        raise UsageError(f"no device is called {name!r}. {hint(str(name), ['auto', *THERE])}")
    if not THERE[chosen.type]():
        raise ResourceError(f"this machine has no device {name!r} that torch can use; use the device cpu")
    return chosen


THERE: dict[str, Callable[[], bool]] = {
    "cpu": lambda: True,
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "xpu": torch.xpu.is_available,
}
"""The kinds of devices, and whether this machine has one."""


def machine(device: torch.device) -> str:
    """The name of a device.

    Args:
        device: The device.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {os.cpu_count()} cores"


def finished(device: torch.device) -> None:
    """Waits until a device is idle, so that what it does is timed whole, and nothing earlier with it.

    Args:
        device: The device.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def exact(device: torch.device) -> torch.device:
    """Where float64 is computed for tensors of a device: there, or on the CPU if the device has no float64.

    Args:
        device: The device of the tensors.
    """
    if device.type == "mps" or (device.type == "xpu" and not torch.xpu.get_device_properties(device).has_fp64):
        return torch.device("cpu")
    return device


def double(x: Tensor) -> Tensor:
    """x in float64, on its device or on the CPU if that has no float64.

    Args:
        x: Any tensor.
    """
    return x.to(exact(x.device)).double()


def like(v: Tensor, x: Tensor) -> Tensor:
    """v in the dtype of x and on its device; the dtype comes first, since not every device has that of v.

    Args:
        v: Any tensor.
        x: Another.
    """
    return v.to(x.dtype).to(x.device)
