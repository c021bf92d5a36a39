"""Which words stand at the head of a checkpoint, where the names of its weights are."""

import zipfile
from pathlib import Path

HEAD = 2**22
"""Bytes that are read of a file that is no archive: names come before weights."""


def mentions(source: Path, *words: str) -> bool:
    """Whether a file has all of the words among the names of its weights. Nothing of it is unpickled.

    Args:
        source: A file that `torch.save` has written, or a safetensors file.
        words: Names of weights, or beginnings of them.
    """
    if not source.is_file():
        return False
    try:
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                index = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
                head = archive.read(index) if index else b""
        else:
            with source.open("rb") as file:
                head = file.read(HEAD)
    except (OSError, zipfile.BadZipFile):
        return False
    return all(word.encode() in head for word in words)
