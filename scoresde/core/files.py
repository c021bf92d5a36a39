"""Atomic writing of files: written under another name, synchronised to disk, and renamed."""

import contextlib
import hashlib
import json
import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from .errors import CheckpointError, ResourceError


def write(path: Path, save: Callable[[Path], object]) -> None:
    """Writes a file through a temporary one beside it, synchronised to disk and renamed over it at the end.

    Args:
        path: Where the file will be; folders above it are made.
        save: Called with the path of the temporary file, which it writes.

    Raises:
        ResourceError: The folder is not writable, or the disk is full.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ResourceError(f"cannot write {path}: {error}") from None


def sync(folder: Path) -> None:
    """Has the names in a folder written to disk, so that a file moved there is found after a loss of power.

    Args:
        folder: The folder whose entries are written to disk.
    """
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all.

    Args:
        path: Where the file will be.
        text: Its content, which is written as UTF-8.
    """
    write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON object whole or not at all.

    Args:
        path: Where the file will be.
        content: The object. Texts are written in ASCII, so that even a file's name that is no UTF-8 can be read again.
    """
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_bytes(path: Path, content: bytes) -> str:
    """Writes a file whole or not at all, and returns the sha256 of what it should hold, in hexadecimal.

    Args:
        path: Where the file will be.
        content: Its bytes.
    """
    write(path, lambda temporary: temporary.write_bytes(content))
    return hashlib.sha256(content).hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], content: Mapping[str, str] | None = None) -> str:
    """Writes a safetensors file whole or not at all, and returns its sha256.

    Args:
        path: Where the file will be.
        tensors: The tensors by name, on any device.
        content: Texts for its header.
    """
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return write_bytes(path, safetensors.torch.save(flat, None if content is None else dict(content)))


def digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal.

    Args:
        path: The file.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 if it begins with that mark, as what PowerShell writes does.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is in another encoding.
    """
    return text_of(path.read_bytes())


def text_of(content: bytes) -> str:
    """The text of a file's content, which is in UTF-8, or in UTF-16 if it begins with that mark.

    Args:
        content: The bytes.

    Raises:
        ValueError: They are in another encoding.
    """
    return content.decode("utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")


def read_json(path: Path, what: str = "model folder") -> dict[str, Any]:
    """A JSON object.

    Args:
        path: The file.
        what: What a folder with such a file is, for the message.

    Raises:
        CheckpointError: The file is missing or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())  # of UTF-8 or UTF-16, with a byte order mark or without
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} is not a {what}: it holds no {path.name}") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is unreadable: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object")
    return value


def read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file, if its digest is the one expected.

    Args:
        path: The file.
        sha256: The digest that it must have, in hexadecimal.

    Raises:
        CheckpointError: The file is missing, cut short or changed.
    """
    try:
        found = digest(path)
        if found != sha256:
            raise CheckpointError(f"{path} is damaged: its sha256 begins {found[:8]}, not {sha256[:8]} as recorded")
        return safetensors.torch.load_file(str(path))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is unreadable: {error}") from None
