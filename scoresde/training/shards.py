"""Files of sharded tensors: each process writes its own, and any number of processes can read them.

They are safetensors, written and read by torch.distributed.checkpoint; their headers say which part each file holds.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .sharding import is_share


def write_shards(folder: Path, tensors: Mapping[str, Tensor]) -> str:
    """Writes this process's shards of the tensors, synchronised to disk; process 0 writes those that are not sharded.

    All processes have to call it. It returns the errors of all processes as one text, empty if there are none.

    Args:
        folder: The folder, which all processes share.
        tensors: The tensors by name.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    try:
        save(dict(tensors), storage_writer=writer, planner=DefaultSavePlanner(dedup_save_to_lowest_rank=True))
    except CheckpointException as error:
        return "; ".join(f"process {rank}: {cause[0]}" for rank, cause in error.failures.items())
    return ""


def shapes(folder: Path) -> dict[str, Tensor]:
    """Tensors without content, of the shapes and dtypes of those in a folder.

    Args:
        folder: The folder of the files.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader

    found: dict[str, Any] = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    return {name: torch.empty(x.size, dtype=x.properties.dtype, device="meta") for name, x in found.items()}


def read_shards(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Fills tensors, sharded or whole, from the files of a folder, however many processes have written them.

    Args:
        folder: The folder of the files.
        tensors: The tensors by name, which are changed in place.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    reader = HuggingFaceStorageReader(str(folder))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        load(dict(tensors), storage_reader=reader, no_dist=not any(map(is_share, tensors.values())))
