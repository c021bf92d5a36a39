"""Pickles of networks, read without running anything that they name or hold.

A pickle is a program: it names functions and calls them. Here every name that it may call stands for a `Record`, which
does nothing but keep what it was called with, and any other name is refused. So not even a function of torch is called
by a pickle. What the records mean is decided afterwards, and a storage, which is bytes, is read by `weights_only`.
"""

import io
import math
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from ...core.errors import CheckpointError

STORAGE, PERSISTENT = "torch.storage._load_from_bytes", "torch_utils.persistence._reconstruct_persistent_obj"
TENSOR, PARAMETER = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"
NAMES = {PERSISTENT, STORAGE, TENSOR, PARAMETER, "collections.OrderedDict", "dnnlib.util.EasyDict", "numpy.dtype"}
NAMES |= {f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")}
NAMES |= {"numpy.ndarray", "builtins.set"}
LAYERS = "torch.nn.modules."
"""Modules of torch may be named, too: a network holds lists of its layers."""


class Record(dict[Any, Any]):
    """What a pickle says of one object: its entries, arguments and state, never the object itself."""

    path = ""
    args: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *args: Any, **_: Any) -> "Record":
        record = super().__new__(cls)
        record.args = args
        return record

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        path = f"{module}.{name}"
        if path in NAMES or (path.startswith(LAYERS) and name.isidentifier()):
            return type("Record", (Record,), {"path": path})  # a new one each time: a pickle can set its attributes
        raise pickle.UnpicklingError(f"it names {path}")


def read_records(file: Path | BinaryIO) -> Any:
    """What a pickle holds: plain values, and a `Record` for each object.

    Args:
        file: The pickle.

    Raises:
        CheckpointError: It is damaged, or names anything else than what networks are made of.
    """
    try:
        if isinstance(file, Path):
            with file.open("rb") as opened:
                return _Reader(opened).load()
        return _Reader(file).load()
    except Exception as error:  # a pickle can raise anything
        raise CheckpointError(
            f"{file} is damaged, or holds more than a network and is not opened, since that could run code: {error}"
        ) from None


def tensor_of(record: Any) -> Tensor:
    """The tensor that a record describes, with memory of its own.

    Args:
        record: Of a tensor or a parameter.

    Raises:
        CheckpointError: It is of neither, or does not fit its storage.
    """
    try:
        if record.path == PARAMETER:
            return tensor_of(record.args[0])
        storage, offset, size, stride = record.args[:4]
        if record.path != TENSOR or storage.path != STORAGE:
            raise TypeError(f"it is a {record.path} of a {storage.path}")
        stored = torch.load(io.BytesIO(storage.args[0]), map_location="cpu", weights_only=True)
        flat = torch.empty(0, dtype=stored.dtype).set_(stored)
        if math.prod(size) > len(flat):
            raise ValueError(f"{tuple(size)} are more values than its storage has")
        return flat.as_strided(tuple(size), tuple(stride), offset).clone()  # which stays inside the storage
    except Exception as error:  # whatever stands in the place of a size
        raise CheckpointError(f"a tensor of the pickle cannot be read: {error}") from None
